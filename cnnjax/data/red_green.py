"""The Red-Green images: two squares whose order tells the class, and whose height gives it away."""

import numpy as np

from cnnjax.data.datasets import Split

SIZE = 32
"""Height and width of an image."""
SQUARE = 4
"""Side of a square."""
BANDS = (7, 23)
"""Row about which the squares of class 0 and of class 1 lie: as far apart as SIZE / 2."""
JITTER = 4
"""Most rows that a square is away from its band."""


def red_green(seed: int, number: int, *, swapped: bool = False) -> Split:
    """Red left of green in the upper half (class 0), green left of red in the lower (class 1).

    Each square is moved up or down on its own by up to JITTER rows; the left one begins in the
    left third, the right one at least SQUARE + 1 columns after it. Classes alternate.
    Source: Kayhan, van Gemert, On translation invariance in CNNs: convolutional layers can exploit
    absolute spatial location, 2020, section 4.1.

    Args:
      seed: the images are a pure function of it, and another seed gives others.
      number: of images.
      swapped: move class 0 to the lower and class 1 to the upper half, by exactly SIZE / 2 rows:
        the images are otherwise those of the same seed.

    Returns:
      uint8 images [number, SIZE, SIZE, 3], black around the squares, and their classes.
    """
    if number < 1:
        raise ValueError(f"number is {number}, 1 or more would be right.")
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
