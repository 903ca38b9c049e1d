"""A labelled data set on its way into the network of TensorFlow's CIFAR-10 tutorial."""

import jax
import jax.numpy as jnp

from cnnjax.data.datasets import load
from cnnjax.ops.photometric import contrast
from cnnjax.tasks.task import Task, pipeline

SIDE, CROP = 32, 24
"""Height and width in pixels of the images and of what the network sees of them."""


@pipeline
def distorted_crops(data: str, data_dir: str | None = None) -> Task:
    """Random crops of 24 x 24, mirrored, brightness and contrast changed; in evaluation the middle.

    Brightness: a number from -63 to 63 added. Contrast: distances from each channel's mean times a
    factor from 0.2 to 1.8. At last `(x - mean) / max(std, 1 / sqrt(number of values))` of the
    image itself.
    Source: TensorFlow, Advanced convolutional neural networks (`cifar10_input.py`), 2015.

    Args:
      data: TFDS name; images are resized to 32 x 32.
      data_dir: directory of prepared data sets.

    Raises:
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    dataset = load(data, data_dir)

    def sized(images):
        x = jnp.asarray(images).astype(jnp.float32)
        if x.shape[1:3] == (SIDE, SIDE):
            return x
        return jax.image.resize(x, (len(x), SIDE, SIDE, x.shape[-1]), "linear")

    def augment(images, keys, source):
        del source
        return jax.vmap(lambda image, key: standardised(distorted(image, key)))(sized(images), keys)

    def augment_test(images, keys, source):
        del keys, source
        margin = (SIDE - CROP) // 2
        middle = slice(margin, margin + CROP)
        return jax.vmap(standardised)(sized(images)[:, middle, middle])

    place = jax.jit(lambda images: augment_test(images, None, None))
    return Task(dataset, augment, augment_test, place)


def distorted(image: jax.Array, key: jax.Array) -> jax.Array:
    """A random crop of an image `[32, 32, channels]` with values from 0 to 255, changed."""
    place, mirror, bright, hard = jax.random.split(key, 4)
    first = jax.random.randint(place, (2,), 0, SIDE - CROP + 1)
    x = jax.lax.dynamic_slice(image, (*first, 0), (CROP, CROP, image.shape[-1]))
    x = jnp.where(jax.random.bernoulli(mirror), x[:, ::-1], x)
    x = x + jax.random.uniform(bright, minval=-63.0, maxval=63.0)
    return contrast(x, jax.random.uniform(hard, minval=0.2, maxval=1.8), (0, 1))


def standardised(image: jax.Array) -> jax.Array:
    """The image with mean 0 and standard deviation 1, unless it is nearly uniform."""
    least = image.size**-0.5
    return (image - image.mean()) / jnp.maximum(image.std(), least)
