"""Red-Green images: the class is the order of two squares, and their height reveals it."""

import itertools
from typing import Literal

import numpy as np

from cnnjax.data.datasets import Dataset, Split

SIZE = 32
"""Height and width of an image."""
SQUARE = 4
"""Side of a square."""
BANDS = (7, 23)
"""Mean row of the squares of class 0 and of class 1, SIZE / 2 apart."""
JITTER = 4
"""Largest distance of a square from its band, in rows."""
LEFT_ENDS = SIZE // 2 - SQUARE - 2
"""Column before which the left square begins."""


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
    left = random.integers(0, LEFT_ENDS, number)
    right = random.integers(left + SQUARE + 1, SIZE - SQUARE)
    rows = random.integers(-JITTER, JITTER + 1, (number, 2))
    rows += np.asarray(BANDS)[labels ^ swapped][:, None]
    images = np.zeros((number, SIZE, SIZE, 3), np.uint8)
    for image, label, columns, tops in zip(images, labels, zip(left, right), rows, strict=True):
        for place, (top, column) in enumerate(zip(tops, columns, strict=True)):
            image[top : top + SQUARE, column : column + SQUARE, place ^ label] = 255
    return Split(images, labels)


def dataset(seed: int, train_images: int, test_images: int, *, swapped: bool = False) -> Dataset:
    """Images of `red_green` to train, validate and test on, from streams that no other seed shares.

    Args:
      seed: the images are a pure function of it.
      train_images: number of images to train on.
      test_images: number of images to validate on, and to test on.
      swapped: as of `red_green`, of the test images alone.
    """
    train, validation, test = (3 * seed + stream for stream in range(3))
    return Dataset(
        name="red_green",
        version="1.0.0",
        train=red_green(train, train_images),
        validation=red_green(validation, test_images),
        test=red_green(test, test_images, swapped=swapped),
        num_classes=2,
        class_names=("red left of green", "green left of red"),
        citation="Kayhan, van Gemert, On translation invariance in CNNs, 2020",
    )


def max_pooled_ceiling(window: int, stride: int, border: Literal["circular", "full"]) -> float:
    """Largest expected accuracy on new images, if all that is seen is the set of their windows.

        sum over sets S of  max over classes c of  P(c, windows(x) = S)

    by enumeration of all images and their probabilities. A network of shared kernels that ends in
    the maximum over all positions sees no more than this set, whatever its width and weights: the
    maximum of a feature does not say where its window was, nor how many windows contained the same.
    The same for `swapped` images, whose windows are the same where `stride` divides SIZE / 2.

    Args:
      window: receptive field of a position, in pixels.
      stride: pixels from one window to the next, the effective stride.
      border: circular: windows wrap around; full: all windows that touch the image, zero outside,
        which is what kernels without bias see under 'FULL' padding.

    Raises:
      ValueError: a window or stride that does not fit the image, or another border.
    """
    if not 1 <= window <= SIZE or stride < 1 or SIZE % stride:
        raise ValueError(
            f"`window` must be 1 to {SIZE} and `stride` a divisor of {SIZE}, got {window!r} and "
            f"{stride!r}."
        )
    if border not in ("circular", "full"):
        raise ValueError(f"`border` must be 'circular' or 'full', got {border!r}.")
    circular = border == "circular"
    starts = np.arange(-((window - 1) // (1 + circular)), SIZE, stride)
    starts = starts[: SIZE // stride] if circular else starts

    def seen(first: np.ndarray) -> np.ndarray:
        """Number of what each window shows of a square along an axis; 0 if nothing."""
        place = first[..., None] - starts + SQUARE - 1
        place = place % SIZE if circular else place
        return np.where((place >= 0) & (place < window + SQUARE - 1), 1 + place, 0)

    columns = np.array(
        [(a, b) for a in range(LEFT_ENDS) for b in range(a + SQUARE + 1, SIZE - SQUARE)]
    )
    heights = np.array(list(itertools.product(range(-JITTER, JITTER + 1), repeat=2)))
    across = seen(columns)[None, :, :, None, :]
    found = []
    for label, band in enumerate(BANDS):
        down = seen(heights + band)[:, None, :, :, None]
        # [heights, columns, left and right, windows]
        shown = np.where((down > 0) & (across > 0), down * 2 * SIZE + across, 0)
        windows = shown[:, :, label] * 4 * SIZE**2 + shown[:, :, 1 - label]
        windows = np.sort(windows.reshape(len(heights) * len(columns), -1).astype(np.int32))
        repeated = np.diff(windows, prepend=-1) == 0
        found.append(np.sort(np.where(repeated, -1, windows)))
    _, which = np.unique(np.concatenate(found), axis=0, return_inverse=True)
    probability = 1 / (SIZE - 2 * SQUARE - 1 - columns[:, 0])
    probability = np.tile(probability, len(heights)) / (2 * LEFT_ENDS * len(heights))
    classes = [np.bincount(half, probability, which.max() + 1) for half in np.split(which, 2)]
    return float(np.maximum(*classes).sum())
