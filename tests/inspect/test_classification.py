"""Metrics of a classifier, by hand."""

import numpy as np
import pytest

from cnnjax.inspect import classification_metrics, most_probable

# Four examples of six classes; the rows' largest are classes 0, 2, 5 and 2.
PROBABILITIES = np.array(
    [
        [0.5, 0.1, 0.1, 0.1, 0.1, 0.1],
        [0.1, 0.2, 0.6, 0.04, 0.03, 0.03],
        [0.01, 0.02, 0.03, 0.04, 0.1, 0.8],
        [0.1, 0.2, 0.3, 0.2, 0.15, 0.05],
    ]
)
LABELS = np.array([0, 1, 0, 0])


def test_every_metric_by_hand():
    found = classification_metrics(np.log(PROBABILITIES), LABELS)
    assert found["accuracy"] == 1 / 4
    assert found["loss"] == pytest.approx(-np.log([0.5, 0.2, 0.01, 0.1]).mean())
    # Class 0 is the last of six in example 2, and the fifth in example 3.
    assert found["top5"] == 3 / 4
    confusion = np.zeros((6, 6), int)
    confusion[0, 0] = confusion[1, 2] = confusion[0, 5] = confusion[0, 2] = 1
    np.testing.assert_array_equal(found["confusion"], confusion)
    assert found["errors"] == [
        {"example": 2, "label": 0, "predicted": 5, "confidence": pytest.approx(0.8)},
        {"example": 1, "label": 1, "predicted": 2, "confidence": pytest.approx(0.6)},
        {"example": 3, "label": 0, "predicted": 2, "confidence": pytest.approx(0.3)},
    ]


def test_the_most_probable_classes_come_first():
    found = most_probable(np.log(PROBABILITIES[1]), 3)
    assert found == [(2, pytest.approx(0.6)), (1, pytest.approx(0.2)), (0, pytest.approx(0.1))]
    assert [each for each, _ in most_probable(np.log(PROBABILITIES[2]))] == [5, 4, 3, 2, 1]


def test_only_so_many_errors_are_listed_and_five_classes_have_no_top_five():
    found = classification_metrics(np.log(PROBABILITIES), LABELS, errors=1)
    assert [error["example"] for error in found["errors"]] == [2]
    assert classification_metrics(np.log(PROBABILITIES[:, :5]), LABELS)["top5"] is None


@pytest.mark.parametrize(
    ("scores", "labels"), [(PROBABILITIES, LABELS[:3]), (PROBABILITIES[0], LABELS)]
)
def test_shapes_that_do_not_fit_are_named(scores, labels):
    with pytest.raises(ValueError, match=r"\[examples, classes\] and \[examples\], got"):
        classification_metrics(scores, labels)
