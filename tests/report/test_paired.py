"""Contrasts of conditions, made in each group, and their table."""

import pytest

from cnnjax.report import contrast_table, contrasts, format_contrast
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import summarize


def observed(seeds):
    values = {("one", "x"): 0.5, ("two", "x"): 0.2, ("one", "y"): 0.9, ("two", "y"): 0.3}
    rows = [
        {
            "layer": layer,
            "data": data,
            "seed": seed,
            "accuracy": value + 0.01 * seed * (layer == "one"),
        }
        for (layer, data), value in values.items()
        for seed in seeds
        if (layer, data, seed) != ("two", "y", seeds[-1])
    ]
    return Observations(rows, ["layer", "data", "seed"])


LISTED = {
    "one minus two": ([{"layer": "one"}], [{"layer": "two"}]),
    "one": ([{"layer": "one"}], []),
}


def test_a_contrast_is_made_in_each_group_that_has_all_its_conditions():
    found = contrasts(observed((1, 2, 3)), "accuracy", LISTED, "data", names={"x": "still"})
    assert list(found) == list(LISTED)
    assert list(found["one minus two"]) == ["still"]  # y lacks a seed of two
    assert list(found["one"]) == ["still", "y"]
    summary = found["one minus two"]["still"]
    assert (summary.mean, summary.std, summary.n) == pytest.approx((0.32, 0.01, 3))


def test_the_table_has_a_row_for_each_contrast_and_a_column_for_each_group():
    table = contrast_table(
        contrasts(observed((1, 2, 3)), "accuracy", LISTED, "data"), "points", 100, "Of made ones."
    )
    assert list(table.columns) == ["points", "x", "y"]
    # Half of the interval: 4.303 (Student's t, 2 degrees of freedom) / sqrt(3) points.
    assert table.rows == [
        ["one minus two", "32 ± 2", "–"],
        ["one", "52 ± 2", "92 ± 2"],
    ]
    assert table.caption == "Of made ones."


def test_fewer_than_three_seeds_are_no_comparison():
    assert format_contrast(summarize([0.1, 0.2]), 100) == "–"
    assert format_contrast(None) == "–"
    # Half an interval of three: 4.303 std / sqrt(3).
    assert format_contrast(summarize([-0.3, -0.1, -0.5]), 100) == "−30 ± 50"
    assert format_contrast(summarize([-0.3, -0.1, -0.5]), 100, 1) == "−30.0 ± 49.7"
    assert format_contrast(None, 100, 1) == "–"
    assert format_contrast(summarize([0.1, 0.1, 0.1]), 100) == "10.0 ± 0"
