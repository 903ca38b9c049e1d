"""Few digits, white on grey, augmented in training and moved in evaluation."""

import dataclasses

import jax
import jax.numpy as jnp

from cnnjax.data.augmentation import augment as augmented
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.datasets import Split, load
from cnnjax.tasks.task import Task, pipeline


@pipeline
def digits_on_grey(
    augmentation: Augmentation,
    moves: tuple[Augmentation, ...],
    *,
    train_digits: int | None = None,
    grey: float = 0.5,
) -> Task:
    """scikit-learn's digits, white on grey, 16 x 16 on a canvas of 24 x 24.

    In evaluation, `moved=n` of the source moves every test image by `moves[n - 1]`, each in a way
    of its own, always the same; `moved=0`, the default, leaves it as it is.

    Args:
      augmentation: of training images.
      moves: ways to move test images; those that differ only in fill move them alike.
      train_digits: number of training images, the first of the data set's; None: all.
      grey: level of the background; ink is 1.
    """
    stored = load("digits")
    few = Split(stored.train.images[:train_digits], stored.train.labels[:train_digits])

    def plain(images):
        ink = jnp.asarray(images).astype(jnp.float32) / 255
        ink = jax.image.resize(ink, (len(ink), 16, 16, 1), "linear")
        ink = jnp.pad(ink, ((0, 0), (4, 4), (4, 4), (0, 0)))
        return grey + (1 - grey) * ink

    def augment(images, keys, source):
        del source
        return augmented(plain(images), keys, augmentation)

    def augment_test(images, keys, source):
        still = plain(images)
        each = [augmented(still, keys, move) for move in moves]
        return jnp.stack([still, *each])[source["moved"]]

    dataset = dataclasses.replace(stored, train=few)
    return Task(dataset, augment, augment_test, jax.jit(plain), {"moved": 0})
