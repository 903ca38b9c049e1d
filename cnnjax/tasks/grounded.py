"""A few digits on grey ground, augmented with what lies beyond the image at choice."""

import dataclasses

import jax
import jax.numpy as jnp

from cnnjax.data.augmentation import augment as augmented
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.datasets import Split, load
from cnnjax.study.classification import Classification
from cnnjax.train.config import TrainConfig

MOVED = Augmentation(rotation=15.0, translation=0.08, rescale=1.15, shear=10.0)
"""How test images are moved where the source's `moved` is 1, with the ground around them."""


def on_ground(
    train: TrainConfig, augmentation: Augmentation, train_digits: int, ground: float
) -> Classification:
    """scikit-learn's digits, white on grey, 16 x 16 on a canvas of 24 x 24.

    In evaluation, `moved=1` moves every test image a little, each in a way of its own, always the
    same; `moved=0`, the default, leaves it as it is.

    Args:
      train: how to train.
      augmentation: of training images.
      train_digits: the first so many of the training images.
      ground: grey level around and between the ink, from 0 to 1.
    """
    dataset = load("digits")
    few = Split(dataset.train.images[:train_digits], dataset.train.labels[:train_digits])
    dataset = dataclasses.replace(dataset, train=few)
    moves = dataclasses.replace(MOVED, fill=ground)

    def plain(images):
        ink = jnp.asarray(images).astype(jnp.float32) / 255
        ink = jax.image.resize(ink, (len(ink), 16, 16, 1), "linear")
        ink = jnp.pad(ink, ((0, 0), (4, 4), (4, 4), (0, 0)))
        return ground + (1 - ground) * ink

    def augment(images, keys, source):
        del source
        return augmented(plain(images), keys, augmentation)

    def augment_test(images, keys, source):
        still = plain(images)
        return jnp.where(source["moved"] > 0, augmented(still, keys, moves), still)

    return Classification(
        dataset, train, augment, augment_test, jax.jit(plain), defaults={"moved": 0}
    )
