"""Backgrounds without direction, rotated: only what fills the corners can reveal the angle."""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.datasets import Dataset, Split
from cnnjax.ops.interpolation import affine_sources, interpolate

Background = Literal["flat", "noise"]
SIDE = 24
"""Height and width of an image."""
ANGLES = 8
"""Classes: multiples of 90 / 8 degrees; further rotations look alike on a square border."""


def rotated_backgrounds(
    background: Background,
    train: int,
    test: int,
    *,
    grey: float = 0.5,
    seed: int = 0,
    **padding: Any,
) -> Dataset:
    """Backgrounds without direction, each rotated by one of eight angles, which is its class.

    Args:
      background: 'flat', grey everywhere; 'noise', smoothed noise about grey, of the same
        statistics in all directions.
      train, test: numbers of images, validation images as many as test images; those of the same
        numbers are the same whatever the padding.
      grey: level of the background, its mean.
      seed: another seed gives other images.
      **padding: what lies beyond the border, `fill` or `border` as `ops.interpolate` takes them.

    Returns:
      Images uint8 `[n, SIDE, SIDE, 1]` and their angles.

    Raises:
      ValueError: another background.
    """
    if background not in get_args(Background):
        raise ValueError(
            f"`background` must be one of {', '.join(get_args(Background))}, got {background!r}."
        )
    train_split, test_split, validation_split = (
        _split(background, count, 3 * seed + number, grey, padding)
        for number, count in enumerate((train, test, test))
    )
    names = tuple(f"{90 * number / ANGLES:.4g} degrees" for number in range(ANGLES))
    return Dataset(
        name="rotated backgrounds",
        version="1.0.0",
        train=train_split,
        validation=validation_split,
        test=test_split,
        num_classes=ANGLES,
        class_names=names,
        citation="",
    )


def _split(
    background: Background, count: int, seed: int, grey: float, padding: Mapping[str, Any]
) -> Split:
    draw = np.random.default_rng(seed)
    values = np.full((count, SIDE, SIDE), grey)
    if background == "noise":
        spectrum = np.fft.fft2(draw.normal(size=values.shape))
        frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
        smooth = np.fft.ifft2(spectrum * np.exp(-((frequency / 0.15) ** 2))).real
        values = grey + 0.12 * smooth / smooth.std()
    labels = draw.integers(ANGLES, size=count).astype(np.int32)

    @jax.jit
    @jax.vmap
    def rotated(image, label):
        angle = math.pi / 2 * label / ANGLES
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        sources = affine_sources((SIDE, SIDE), jnp.array([[cos, -sin], [sin, cos]]))
        image = interpolate(image, sources, **padding)
        # Rotation makes noise smoother where it falls between pixels: blur all angles alike.
        x = jnp.pad(image[..., 0], 1, mode="edge")
        x = (x[:-2] + 2 * x[1:-1] + x[2:]) / 4
        x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
        return jnp.clip(255 * x, 0, 255).round()[..., None]

    images = rotated(jnp.asarray(values, jnp.float32)[..., None], labels)
    return Split(np.asarray(images).astype(np.uint8), labels)
