"""A labelled data set as images of any size, augmented."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.augmentation import augment as augmented
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.datasets import load
from cnnjax.data.streaming import stream
from cnnjax.run.config import InputError
from cnnjax.tasks.streamed import StreamedTask
from cnnjax.tasks.task import Task, pipeline

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of each channel, in values from 0 to 1, with which torchvision's
weights were trained."""


@pipeline
def resized(
    data: str,
    data_dir: str | None = None,
    *,
    size: int | None = None,
    channels: int | None = None,
    augmentation: Augmentation | None = None,
    from_disk: bool = False,
    statistics: Literal["data", "imagenet"] = "data",
) -> Task:
    """A data set resized to squares, augmented in training, standardised channel by channel.

    Args:
      data: TFDS name.
      data_dir: directory of prepared data sets.
      size: height and width in pixels that images are resized to; None: as they are.
      channels: 3 repeats grey images; None: as they are.
      augmentation: of training images; its fill is in values from 0 to 1.
      from_disk: read examples as they are needed; images are cut to squares of `size`.
      statistics: mean and standard deviation of each channel: those of 1,000 training images, or
        those that torchvision's weights were trained with.

    Raises:
      InputError: channels that the images cannot be given, or images from disk without a size.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    if from_disk and size is None:
        raise InputError("size must be given for images from disk, 224 for ImageNet, got None.")
    dataset = stream(data, size or 1, data_dir) if from_disk else load(data, data_dir)
    some, _ = dataset.train.read(np.arange(min(1000, len(dataset.train))))
    own = some.shape[-1]
    if channels not in (None, own) and own != 1:
        raise InputError(f"channels must be {own}, those of {data}, got {channels}.")

    def plain(given):
        x = jnp.asarray(given).astype(jnp.float32) / 255
        if size is not None and x.shape[1:3] != (size, size):
            x = jax.image.resize(x, (len(x), size, size, own), "linear")
        return jnp.repeat(x, channels, -1) if channels not in (None, own) else x

    sample = np.asarray(jax.jit(plain)(some))
    mean, std = sample.mean((0, 1, 2)), np.maximum(sample.std((0, 1, 2)), 1e-6)
    if statistics == "imagenet":
        if sample.shape[-1] != 3:
            raise InputError(f"channels must be 3 for weights of ImageNet, got {sample.shape[-1]}.")
        mean, std = np.array(IMAGENET, np.float32)

    def standardised(x):
        return (x - mean[None, None, None]) / std[None, None, None]

    def augment(given, keys, source):
        del source
        x = plain(given)
        return standardised(x if augmentation is None else augmented(x, keys, augmentation))

    def augment_test(given, keys, source):
        del keys, source
        return standardised(plain(given))

    place = jax.jit(lambda given: standardised(plain(given)))
    kind = StreamedTask if from_disk else Task
    return kind(dataset, augment, augment_test, place)
