"""Overlap of predicted and true pixels, by hand."""

import numpy as np
import pytest

from cnnjax.inspect import image_overlap, intersection_over_union, segmentation_metrics

PREDICTED = np.array([[0, 0, 1], [1, 1, 2]])
LABELS = np.array([[0, 1, 1], [1, 0, 0]])


def test_intersection_over_union_by_hand():
    # Background: 1 of 4; class 1: 2 of 4; class 2: predicted once, never true; class 3: nowhere.
    found = intersection_over_union(PREDICTED, LABELS, 4)
    np.testing.assert_allclose(found, [1 / 4, 2 / 4, 0, np.nan])


def test_metrics_are_means_over_the_classes_that_occur():
    found = segmentation_metrics(PREDICTED, LABELS, 4)
    assert found == {
        "accuracy": pytest.approx(3 / 6),
        "mean_iou": pytest.approx((1 / 4 + 2 / 4 + 0) / 3),
        "background_iou": pytest.approx(1 / 4),
        "foreground_iou": pytest.approx((2 / 4 + 0) / 2),
    }


def test_where_there_is_no_foreground_there_is_no_mean_over_it():
    nothing = np.zeros((2, 3), int)
    assert segmentation_metrics(nothing, nothing, 3) == {
        "accuracy": 1.0,
        "mean_iou": 1.0,
        "background_iou": 1.0,
        "foreground_iou": None,
    }
    assert segmentation_metrics(nothing + 1, nothing + 1, 3)["background_iou"] is None


def test_the_overlap_of_an_image_is_that_of_pixels_and_their_classes():
    """The Jaccard index of two sets of pairs, image by image; 1 where both are empty."""
    random = np.random.default_rng(0)
    predicted, labels = random.integers(0, 4, size=(2, 5, 4, 6))
    predicted[3] = labels[3] = 0
    labels[4] = 0
    expected = []
    for images in zip(predicted, labels):
        one, other = (
            {(*place, label) for place, label in np.ndenumerate(image) if label} for image in images
        )
        expected.append(len(one & other) / len(one | other) if one | other else 1.0)
    assert expected[3:] == [1, 0]
    np.testing.assert_allclose(image_overlap(predicted, labels), expected)


@pytest.mark.parametrize("measure", [intersection_over_union, segmentation_metrics])
def test_shapes_that_differ_are_named(measure):
    for wrong in (
        lambda: measure(PREDICTED, LABELS[0], 4),
        lambda: image_overlap(PREDICTED, LABELS[0]),
    ):
        with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3,\)"):
            wrong()
