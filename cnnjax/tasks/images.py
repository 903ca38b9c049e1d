"""A labelled data set as images of any size, augmented; in memory, or on disk."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.augmentation import augment as augmented
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.batches import batch_indices, evaluation_batches
from cnnjax.data.datasets import load
from cnnjax.data.streaming import stream
from cnnjax.run.config import InputError
from cnnjax.tasks.task import SplitName, Task, pipeline

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
    validation_images: int | None = None,
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
      validation_images: training images to validate on, see `data.datasets.load`.

    Raises:
      InputError: channels that the images cannot be given, images from disk without a size, or a
        number of validation images that the training images do not have.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    if from_disk and size is None:
        raise InputError("size must be given for images from disk, 224 for ImageNet, got None.")
    held = validation_images
    dataset = (
        stream(data, size or 1, data_dir, validation_images=held)
        if from_disk
        else load(data, data_dir, validation_images=held)
    )
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


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedTask(Task):
    """A `Task` on disk: batches bring their images, which are read while the step before runs."""

    reader: concurrent.futures.ThreadPoolExecutor = dataclasses.field(
        default_factory=lambda: concurrent.futures.ThreadPoolExecutor(1)
    )
    """The thread that reads ahead."""
    ahead: dict[tuple[int, int], concurrent.futures.Future] = dataclasses.field(
        default_factory=dict
    )
    """What it reads, by seed and step."""

    def source(self, split: SplitName, **values: Any) -> dict[str, Any]:
        """Only the values: images come with the batches."""
        self.split(split)
        return {**self.defaults, **values}

    def train_batch(self, seed: int, step: int, batch_size: int) -> dict[str, np.ndarray]:
        """Images and labels of a training step, and their places in the batch."""
        read = self.ahead.pop((seed, step), None) or self._read_ahead(seed, step, batch_size)
        batch = read.result()
        self.ahead.clear()
        self.ahead[seed, step + 1] = self._read_ahead(seed, step + 1, batch_size)
        return batch

    def batches(
        self, split: SplitName, batch_size: int, repeats: int = 1
    ) -> Iterator[dict[str, np.ndarray]]:
        """All examples of a split `repeats` times, with their images."""
        examples = self.split(split)
        for position, weight in evaluation_batches(repeats * len(examples), batch_size):
            images, labels = examples.read(position % len(examples))
            yield {"image": images, "label": labels, "position": position, "weight": weight}

    def _read_ahead(self, seed: int, step: int, size: int) -> concurrent.futures.Future:
        return self.reader.submit(self._read, seed, step, size)

    def _read(self, seed: int, step: int, size: int) -> dict[str, np.ndarray]:
        images, labels = self.train.read(batch_indices(seed, step, size, len(self.train)))
        return {"image": images, "label": labels, "position": np.arange(size, dtype=np.int32)}
