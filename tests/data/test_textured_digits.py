"""Digits on textured background: ink, its place, its label."""

import numpy as np
import pytest

from cnnjax.data.textured_digits import textured_digits


def squares():
    """Two digits: a filled square of class 3, and a bar of class 7."""
    digits = np.zeros((2, 8, 8, 1), np.uint8)
    digits[0, 2:6, 2:6], digits[1, :, 3:5] = 16, 16
    return digits, np.array([3, 7])


def test_ink_is_labelled_and_brighter_than_the_background():
    found = textured_digits(*squares(), 50, seed=0)
    assert found.images.shape == (50, 32, 32, 1)
    assert set(np.unique(found.labels)) == {0, 4, 8}
    # Smoothed squares of 8 x 8 pixels: 3/4 at the edge, 9/16 in the corners, 1/4 outside.
    only = textured_digits(squares()[0][:1], np.array([3]), 5, seed=0, each=1).labels
    np.testing.assert_array_equal((only == 4).sum((1, 2)), [64] * 5)
    values = found.images[..., 0] / 255
    assert values[found.labels > 0].mean() > values[found.labels == 0].mean() + 0.2
    # But no threshold tells them apart.
    assert values[found.labels > 0].min() < np.quantile(values[found.labels == 0], 0.9)
    again = textured_digits(*squares(), 50, seed=0)
    np.testing.assert_array_equal(found.images, again.images)
    assert not np.array_equal(found.images, textured_digits(*squares(), 50, seed=1).images)


@pytest.mark.parametrize("each", [1, 2, 4])
def test_ink_has_the_class_of_its_own_digit_in_its_own_cell(each):
    """Enlarged, the square is 8 pixels wide and the bar 4."""
    for image, labels in zip(*textured_digits(*squares(), 20, seed=0, each=each)):
        cells = [
            (image[y : y + 16, x : x + 16, 0], labels[y : y + 16, x : x + 16])
            for y in (0, 16)
            for x in (0, 16)
        ]
        filled = [(pixels, classes) for pixels, classes in cells if classes.any()]
        assert len(filled) == each
        for pixels, classes in filled:
            width = int(classes.any(0).sum())
            assert set(np.unique(classes)) == {0, {8: 1 + 3, 4: 1 + 7}[width]}
            assert pixels[classes > 0].mean() > pixels[classes == 0].mean() + 0.2 * 255


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: textured_digits(np.zeros((2, 5, 5, 1)), np.zeros(2), 3, seed=0), "5, 5"),
        (lambda: textured_digits(*squares(), 3, seed=0, each=5), "got 5"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
