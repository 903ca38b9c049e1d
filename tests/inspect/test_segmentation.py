"""Overlap of predicted and true pixels, by hand."""

import numpy as np
import pytest

from cnnjax.inspect import intersection_over_union, segmentation_metrics

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


@pytest.mark.parametrize("measure", [intersection_over_union, segmentation_metrics])
def test_shapes_that_differ_are_named(measure):
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(3,\)"):
        measure(PREDICTED, LABELS[0], 4)
