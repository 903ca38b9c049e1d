"""Means over a number: where the points and the curves beside them stand."""

import numpy as np
import pytest

from cnnjax.report import points_over
from cnnjax.run.statistics import summarize

pytestmark = pytest.mark.fast

THREE, ONE = summarize([10.0, 20.0, 30.0]), summarize([5.0])


def drawn():
    return points_over(
        {"many": {30.0: THREE, 60.0: ONE}, "few": {30.0: ONE}},
        "angle",
        y_label="width",
        lines={"law": ([0, 90], [90, 0])},
        limits=(0, 90),
    )


def test_points_have_the_intervals_of_three_seeds():
    (axes,) = drawn().axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_ylim()) == ("angle", "width", (0, 90))
    many, few = axes.containers
    np.testing.assert_allclose(many.lines[0].get_xydata(), [[30, 20], [60, 5]])
    np.testing.assert_allclose(few.lines[0].get_xydata(), [[30, 5]])
    (bars,) = many.lines[2]
    # Student's t of 2 degrees of freedom, 4.303, times 10 / sqrt(3); no interval of one seed.
    half = 4.303 * 10 / np.sqrt(3)
    np.testing.assert_allclose(bars.get_segments()[0][:, 1], [20 - half, 20 + half], rtol=1e-3)
    np.testing.assert_allclose(bars.get_segments()[1][:, 1], [5, 5])
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[0, 90], [90, 0]])


def test_the_legend_names_points_and_curves():
    (legend,) = drawn().legends
    assert {text.get_text() for text in legend.get_texts()} == {"law", "many", "few"}


@pytest.mark.parametrize(
    ("series", "lines"),
    [
        ({}, {}),
        ({str(n): {1.0: ONE} for n in range(5)}, {}),
        ({"a": {1.0: ONE}}, dict.fromkeys("abc")),
    ],
)
def test_wrong_data_gets_a_sentence(series, lines):
    with pytest.raises(ValueError, match="series must be 1 to 4 and lines at most 2, got"):
        points_over(series, "x", y_label="y", lines=lines)
