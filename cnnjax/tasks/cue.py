"""Images that show nothing but how they were turned, by what lies beyond their border."""

import math
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.augmentation_config import Border
from cnnjax.data.datasets import Dataset, Split
from cnnjax.ops import affine_sources, interpolate
from cnnjax.study.classification import Classification
from cnnjax.train.config import TrainConfig

Ground = Literal["flat", "noise"]
ANGLES = 8
"""Classes: multiples of 90 / 8 degrees; further turns look alike on a square border."""
SIDE = 24
"""Height and width of the images."""


class Beyond(NamedTuple):
    """What lies beyond the border of a turned image."""

    border: Border
    """How it is filled."""
    fill: float
    """With what, for 'constant'."""


def turned_grounds(
    ground: Ground, beyond: Beyond, train: TrainConfig, *, train_images: int, test_images: int
) -> Classification:
    """Grounds without direction, each turned by one of eight angles, which is its label.

    flat: grey, 0.5, everywhere. noise: smoothed noise about 0.5, of the same statistics in all
    directions. Whoever tells the angle has read it from the fill.

    Args:
      ground: 'flat' or 'noise'.
      beyond: what lies beyond the border.
      train: how to train.
      train_images, test_images: how many images to make.

    Raises:
      ValueError: another ground.
    """
    if ground not in get_args(Ground):
        raise ValueError(f"ground must be 'flat' or 'noise', got {ground!r}.")
    train_split, test_split = (
        _split(ground, beyond, count, seed) for count, seed in ((train_images, 0), (test_images, 1))
    )
    names = tuple(f"{90 * number / ANGLES:.4g} degrees" for number in range(ANGLES))
    dataset = Dataset("turned grounds", "1.0.0", train_split, test_split, ANGLES, names, "")

    def augment(images, keys, source):
        del keys, source
        return (jnp.asarray(images).astype(jnp.float32) / 255 - 0.5) / 0.2

    place = jax.jit(lambda images: augment(images, None, None))
    return Classification(dataset, train, augment, augment, place)


def _split(ground: Ground, beyond: Beyond, count: int, seed: int) -> Split:
    draw = np.random.default_rng(seed)
    values = np.full((count, SIDE, SIDE), 0.5)
    if ground == "noise":
        spectrum = np.fft.fft2(draw.normal(size=values.shape))
        frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
        smooth = np.fft.ifft2(spectrum * np.exp(-((frequency / 0.15) ** 2))).real
        values = 0.5 + 0.12 * smooth / smooth.std()
    labels = draw.integers(ANGLES, size=count).astype(np.int32)

    @jax.jit
    def turned(image, label):
        angle = math.pi / 2 * label / ANGLES
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        sources = affine_sources((SIDE, SIDE), jnp.array([[cos, -sin], [sin, cos]]))
        # Turning makes noise smoother where it falls between pixels: blur all angles alike.
        return _blurred(interpolate(image, sources, border=beyond.border, fill=beyond.fill))

    images = jax.vmap(turned)(jnp.asarray(values, jnp.float32)[..., None], jnp.asarray(labels))
    return Split(np.asarray(jnp.clip(255 * images, 0, 255).round()).astype(np.uint8), labels)


def _blurred(image: jax.Array) -> jax.Array:
    for axis in (0, 1):
        sides = [(1, 1) if i == axis else (0, 0) for i in range(3)]
        padded = jnp.pad(image, sides, mode="edge")
        low, middle, high = (
            jax.lax.slice_in_dim(padded, first, first + SIDE, axis=axis) for first in range(3)
        )
        image = (low + 2 * middle + high) / 4
    return image
