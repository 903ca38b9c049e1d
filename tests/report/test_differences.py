"""Tables of paired differences, by hand."""

import pytest

from cnnjax.report import difference_table
from cnnjax.run.observations import Observations


def rows(seeds=(0, 1, 2)):
    """Numbers whose spread over seeds is the same in both conditions, and so is not in pairs."""
    found = []
    for seed in seeds:
        spread = (0.1, 0.5, 0.2)[seed]
        found += [
            {"layer": "a", "data": "x", "seed": seed, "error": spread, "extra": 1.0},
            {"layer": "b", "data": "x", "seed": seed, "error": spread + 0.3 + 0.01 * (seed - 1)},
            {"layer": "b", "data": "y", "seed": seed, "error": 9.0, "extra": 2.0},
        ]
    return Observations(found, ("layer", "data", "seed"))


def test_a_difference_is_paired_by_seed_and_by_the_other_factors():
    table = difference_table(
        rows(), {"error (%)": ("error", 100), "extra": "extra"}, "layer", "a",
        names={"x": "data X", "b": "layer B", "layer": "kind"}, caption="Said.",
    )  # fmt: skip
    assert table.columns == ["data", "kind", "error (%)", "extra"]
    # Half of the interval: 4.303 (Student's t, 2 degrees of freedom) times 1 / sqrt(3).
    assert table.rows == [["data X", "layer B", "30 ± 2", "–"]]
    assert table.caption == (
        "Said. Minus kind a, paired by seed: mean ± 95 % interval over 3 seeds."
    )
    # In the other direction the sign is the other.
    (row,) = difference_table(rows(), {"error": ("error", 100)}, "layer", "b").rows
    assert row == ["x", "a", "−30 ± 2"]


def test_two_seeds_are_no_comparison():
    assert difference_table(rows((0, 1)), {"error": "error"}, "layer", "a").rows == [
        ["x", "b", "–"]
    ]


def test_one_factor_alone_and_a_value_that_is_not_there():
    alone = Observations(
        [{"layer": name, "part": "p", "seed": seed, "error": 1.0 + (name == "b")} for name in "ab"
         for seed in (0, 1, 2)],
        ("layer", "part", "none", "seed"),
    )  # fmt: skip
    assert difference_table(alone, {"error": "error"}, "layer", "a").rows == [["b", "1.00 ± 0"]]
    with pytest.raises(ValueError, match=r"against must be one of \['a', 'b'\], got 'c'"):
        difference_table(alone, {"error": "error"}, "layer", "c")
