"""The table of shares of variance: each number in its own cell, and what is missing a dash."""

import numpy as np
import pytest

from cnnjax import report
from cnnjax.run.observations import Observations
from cnnjax.run.variance import variance_share_intervals, variance_shares


def observed(seeds=(4, 5, 6), order=1):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 3, len(seeds)))
    rows = [
        {"net": net, "data": data, "seed": seed, "kappa": values[a, b, c], "same": 0.5}
        for a, net in enumerate("pq")
        for b, data in enumerate("xyz")
        for c, seed in enumerate(seeds)
    ]
    rows[4]["other"] = 1.0
    return Observations(rows[::order], ("net", "data", "seed")), values


NUMBERS = {"the kappa": "kappa", "what is the same": "same", "what is missing": "other"}


def test_results_and_table():
    found, values = observed()
    results = report.variance_results(found, NUMBERS, "net", "data")
    shares, intervals = variance_shares(values), variance_share_intervals(values)
    parts = ("net", "data", "interaction", "seeds")
    assert results[0] == {
        "name": "the kappa",
        **{
            part: {"share": pytest.approx(share), "interval": pytest.approx(interval)}
            for part, share, interval in zip(parts, shares, intervals, strict=True)
        },
    }
    for result in results[1:]:
        assert [result[part] for part in parts] == 4 * [{"share": None, "interval": None}]
    table = report.variance_table(results, 3, {"data": "training data"}, "Said.")
    assert table.columns == [
        "variance of", "net (%)", "training data (%)", "interaction (%)", "seeds (%)"
    ]  # fmt: skip
    cells = [
        f"{100 * share:.0f} ({100 * low:.0f} to {100 * high:.0f})"
        for share, (low, high) in zip(shares, intervals, strict=True)
    ]
    assert len(set(cells)) == 4
    assert table.rows == [
        ["the kappa", *cells],
        ["what is the same", *"––––"],
        ["what is missing", *"––––"],
    ]
    assert table.caption.startswith("Said. Shares of variance, eta squared")
    assert "bootstrap" in table.caption


def test_two_seeds_have_no_interval():
    found, values = observed((0, 1))
    (result,) = report.variance_results(found, {"k": "kappa"}, "net", "data")
    assert result["net"]["interval"] is None
    table = report.variance_table([result], 2, {})
    assert table.rows == [["k", *(f"{100 * each:.0f}" for each in variance_shares(values))]]
    assert "no intervals" in table.caption


def test_rows_in_any_order():
    one, other = (
        report.variance_results(observed(order=order)[0], {"k": "kappa"}, "net", "data")
        for order in (1, -1)
    )
    for part in ("net", "data", "interaction", "seeds"):
        assert one[0][part]["share"] == pytest.approx(other[0][part]["share"])


def test_a_missing_combination_is_one_sentence():
    found, _ = observed()
    for rows in (found.rows[1:], [*found.rows[1:], found.rows[1]]):
        with pytest.raises(ValueError, match="one for each net, data and seed"):
            report.variance_results(
                Observations(rows, found.factors), {"k": "kappa"}, "net", "data"
            )
