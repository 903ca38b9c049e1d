"""Numbers read off learning curves, by hand."""

import math

import pytest

from cnnjax.inspect import examples_to_reach, power_law_exponent, power_laws

pytestmark = pytest.mark.fast


def test_a_level_is_interpolated_in_the_logarithm_of_the_examples():
    # A quarter of the way from 200 to 800: 200 * 4^(1/4).
    assert examples_to_reach([100, 200, 800], [0.1, 0.5, 0.9], 0.6) == pytest.approx(200 * 2**0.5)
    assert examples_to_reach([100, 200], [0.1, 0.5], 0.5) == pytest.approx(200)
    # The first time, though the curve falls below it again.
    assert examples_to_reach([1, 2, 4, 8], [0, 1, 0, 1], 0.5) == pytest.approx(2**0.5)


def test_nothing_is_extrapolated():
    assert examples_to_reach([100, 200], [0.1, 0.5], 0.51) is None
    assert examples_to_reach([100, 200], [0.6, 0.9], 0.5) is None
    assert examples_to_reach([100, 200], [0.5, 0.9], 0.5) is None


def test_what_is_no_learning_curve_is_an_error():
    with pytest.raises(ValueError, match=r"one for each of \(2,\) examples, got \(1,\)"):
        examples_to_reach([1, 2], [0.5], 0.5)
    with pytest.raises(ValueError, match=r"positive and increase, got \[2.0, 1.0\]"):
        examples_to_reach([2, 1], [0.5, 0.6], 0.5)
    with pytest.raises(ValueError, match=r"positive and increase, got \[\]"):
        examples_to_reach([], [], 0.5)


def test_the_exponent_of_a_power_law():
    assert power_law_exponent([1, 2, 4], [3, 3 * 2**1.7, 3 * 4**1.7]) == pytest.approx(1.7)
    # Logarithms 0, 0, 1 at 0, 1, 2 (base 2): the slope is 1/2.
    assert power_law_exponent([1, 2, 4], [1, 1, 2]) == pytest.approx(0.5)
    assert power_law_exponent([2, 2], [1, 3]) is None
    assert power_law_exponent([], []) is None
    with pytest.raises(ValueError, match="positive and finite"):
        power_law_exponent([1, 2], [0, math.inf])


def test_power_laws_are_over_what_every_seed_has():
    rows = [{"t": t, "seed": seed, "n": 10 * t ** (1 + seed)} for t in (4, 1, 2) for seed in (0, 1)]
    rows.append({"t": None, "seed": 0, "n": 7.0})
    places, exponents = power_laws(rows, "t", "n")
    assert places == [1, 2, 4]
    assert exponents == pytest.approx([1, 2])
    del rows[0]["n"]
    assert power_laws(rows, "t", "n")[0] == [1, 2]
    rows[2]["n"] = None
    assert power_laws(rows, "t", "n") == ([2], [])
    assert power_laws([], "t", "n") == ([], [])
