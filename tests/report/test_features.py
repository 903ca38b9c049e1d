"""Figures of learned features: each image in its place, in its colours."""

import numpy as np
import pytest

from cnnjax.report import evidence_maps, unit_patches


def image(value):
    return np.array([[value, value + 1.0], [value + 2, value + 3]])


@pytest.mark.parametrize(("count", "columns"), [(9, 3), (4, 2), (1, 1), (5, 3)])
def test_patches_of_a_unit_are_a_square_with_gaps(count, columns):
    patches = np.stack([image(10 * number) for number in range(count)])
    units = [{"channel": 11, "preferred": image(-2), "patches": patches}] * 4
    unit, mosaic, *others = unit_patches(units).axes
    assert unit.get_title() == "channel 11"
    np.testing.assert_array_equal(unit.images[0].get_array(), image(-2))
    assert unit.images[0].get_clim() == (-2, 2)
    shown = np.ma.filled(mosaic.images[0].get_array(), np.nan)
    assert shown.shape == (3 * columns - 1,) * 2
    for number in range(count):
        top, left = (3 * place for place in divmod(number, columns))
        np.testing.assert_array_equal(shown[top : top + 2, left : left + 2], image(10 * number))
    assert np.isnan(shown[2::3]).all()
    assert np.isnan(shown).sum() == shown.size - 4 * count
    assert [axes.get_title() for axes in others if axes.images][::2] == ["channel 11"] * 3


def test_evidence_stands_below_the_image_of_the_decision():
    decisions = [
        {
            "image": image(1),
            "saliency": image(2),
            "occlusion": image(-5 + number),
            "label": label,
            "predicted": predicted,
        }
        for number, (label, predicted) in enumerate(((0, 0), (1, 2)))
    ]
    grid = np.reshape(evidence_maps(decisions, ["cat", "dog", "owl"]).axes, (3, 5))
    assert [axes.get_title() for axes in grid[0, :2]] == ["cat", "dog → owl"]
    for column in (0, 1):
        shown = [axes.images[0].get_array()[0, 0] for axes in grid[:, column]]
        assert shown == [1, 2, -5 + column]
    assert [axes.texts[0].get_text() for axes in grid[:, 0]] == ["image", "saliency", "occlusion"]
    assert grid[2, 0].images[0].get_clim() == (-5, 5)
    assert not any(axes.images for axes in grid[:, 2:].ravel())
