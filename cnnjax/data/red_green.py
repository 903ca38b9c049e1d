"""Red-Green images: the class is the order of two squares, and their height reveals it."""

import numpy as np

from cnnjax.data.datasets import Split

SIZE = 32
"""Height and width of an image."""
SQUARE = 4
"""Side of a square."""
BANDS = (7, 23)
"""Mean row of the squares of class 0 and of class 1, SIZE / 2 apart."""
JITTER = 4
"""Largest distance of a square from its band, in rows."""


def red_green(seed: int, number: int, *, swapped: bool = False) -> Split:
    """Images with red left of green in the upper half (class 0), green left of red below (1).

    Each square is moved up or down on its own by up to JITTER rows; the left one begins in the
    left third, the right one at least SQUARE + 1 columns after it. Classes alternate. Returns
    images uint8 `[number, SIZE, SIZE, 3]`, black around the squares, and their classes.
    Source: Kayhan, van Gemert, On translation invariance in CNNs: convolutional layers can exploit
    absolute spatial location, 2020, section 4.1.

    Args:
      seed: the images are a pure function of it.
      number: number of images.
      swapped: move class 0 to the lower and class 1 to the upper half, by exactly SIZE / 2 rows:
        the images are otherwise those of the same seed.
    """
    if number < 1:
        raise ValueError(f"`number` must be at least 1, got {number}.")
    random = np.random.Generator(np.random.Philox(seed))
    labels = np.arange(number, dtype=np.int32) % 2
    left = random.integers(0, SIZE // 2 - SQUARE - 2, number)
    right = random.integers(left + SQUARE + 1, SIZE - SQUARE)
    rows = random.integers(-JITTER, JITTER + 1, (number, 2))
    rows += np.asarray(BANDS)[labels ^ swapped][:, None]
    images = np.zeros((number, SIZE, SIZE, 3), np.uint8)
    for image, label, columns, tops in zip(images, labels, zip(left, right), rows, strict=True):
        for place, (top, column) in enumerate(zip(tops, columns, strict=True)):
            image[top : top + SQUARE, column : column + SQUARE, place ^ label] = 255
    return Split(images, labels)
