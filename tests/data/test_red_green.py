"""The Red-Green images: where the squares are, in which order, and what the swap changes."""

import numpy as np
import pytest

from cnnjax.data.red_green import BANDS, JITTER, SIZE, SQUARE, red_green

pytestmark = pytest.mark.fast


def corners(image, channel):
    """Top left corner of the one square in a channel, which is checked to be one."""
    rows, columns = np.nonzero(image[..., channel])
    top, left = rows.min(), columns.min()
    expected = np.zeros((SIZE, SIZE), np.uint8)
    expected[top : top + SQUARE, left : left + SQUARE] = 255
    np.testing.assert_array_equal(image[..., channel], expected)
    return top, left


@pytest.mark.parametrize("swapped", [False, True])
def test_order_tells_the_class_and_height_the_half(swapped):
    images, labels = (lambda split: (split.images, split.labels))(
        red_green(5, 400, swapped=swapped)
    )
    assert images.shape == (400, 32, 32, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(labels[:4], [0, 1, 0, 1])
    tops = {0: set(), 1: set()}
    for image, label in zip(images, labels):
        (red_top, red_left), (green_top, green_left) = corners(image, 0), corners(image, 1)
        assert not image[..., 2].any()
        assert (red_left < green_left) == (label == 0)
        assert abs(red_left - green_left) > SQUARE
        tops[int(label)] |= {int(red_top), int(green_top)}
    upper, lower = (set(range(band - JITTER, band + JITTER + 1)) for band in BANDS)
    assert tops == ({0: lower, 1: upper} if swapped else {0: upper, 1: lower})


def test_the_swap_is_a_circular_shift_by_half_the_image():
    plain, swapped = red_green(7, 50), red_green(7, 50, swapped=True)
    np.testing.assert_array_equal(np.roll(plain.images, SIZE // 2, axis=1), swapped.images)
    np.testing.assert_array_equal(plain.labels, swapped.labels)


def test_images_are_a_function_of_the_seed():
    first, again, other = red_green(1, 30), red_green(1, 30), red_green(2, 30)
    np.testing.assert_array_equal(first.images, again.images)
    assert (first.images != other.images).any()
    with pytest.raises(ValueError, match="`number` must be at least 1, got 0"):
        red_green(1, 0)
