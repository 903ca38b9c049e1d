"""Handwritten digits on textured backgrounds, with a label for every pixel."""

from typing import NamedTuple

import numpy as np

SIDE = 32
"""Height and width of the images."""


class Labelled(NamedTuple):
    """Images and the class of each pixel."""

    images: np.ndarray
    """uint8 `[n, 32, 32, 1]`."""
    labels: np.ndarray
    """int32 `[n, 32, 32]`: 0 background, 1 + digit on the ink of a digit."""


def textured_digits(
    digits: np.ndarray, classes: np.ndarray, count: int, *, seed: int, each: int = 2
) -> Labelled:
    """Images of several digits on gratings of random direction, wavelength and phase, with noise.

    Ink is brighter than the background on average, but the ranges of pixel values overlap. Digits
    are enlarged to 16 pixels, each in its own cell, chosen at random.

    Args:
      digits: uint8 `[examples, 8, 8, 1]` or twice that size.
      classes: `[examples]`, from 0.
      count: number of images.
      seed: seed of everything random.
      each: number of digits in an image, at most 4.

    Raises:
      ValueError: digits of another size, or more than 4.
    """
    if digits.ndim != 4 or digits.shape[1:3] not in ((8, 8), (16, 16)):
        raise ValueError(f"`digits` must be of 8 x 8 or 16 x 16 pixels, got shape {digits.shape}.")
    if not 1 <= each <= 4:
        raise ValueError(f"`each` must be 1 to 4 digits, got {each!r}.")
    draw = np.random.default_rng(seed)
    factor = 16 // digits.shape[1]
    images = np.empty((count, SIDE, SIDE, 1), np.uint8)
    labels = np.zeros((count, SIDE, SIDE), np.int32)
    for number in range(count):
        ink = np.zeros((SIDE, SIDE))
        chosen = draw.integers(len(digits), size=each)
        for cell, example in zip(draw.permutation(4)[:each], chosen, strict=True):
            # Means of neighbours make the enlarged strokes smooth.
            bright = digits[example, ..., 0] / digits[example].max()
            large = _smooth(np.kron(bright, np.ones((factor, factor))))
            top, left = 16 * (cell // 2), 16 * (cell % 2)
            ink[top : top + 16, left : left + 16] = large
            labels[number, top : top + 16, left : left + 16] = np.where(
                large > 0.4, 1 + classes[example], 0
            )
        background, stroke = _grating(draw), _grating(draw)
        values = (1 - ink) * (0.35 + 0.12 * background) + ink * (0.75 + 0.12 * stroke)
        values += draw.normal(0, 0.05, values.shape)
        images[number, ..., 0] = np.clip(255 * values, 0, 255).round()
    return Labelled(images, labels)


def _grating(draw: np.random.Generator) -> np.ndarray:
    down, right = np.indices((SIDE, SIDE))
    direction, wavelength = draw.uniform(0, np.pi), draw.uniform(3, 8)
    along = down * np.sin(direction) + right * np.cos(direction)
    return np.sin(2 * np.pi * along / wavelength + draw.uniform(0, 2 * np.pi))


def _smooth(image: np.ndarray) -> np.ndarray:
    padded = np.pad(image, 1)
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
