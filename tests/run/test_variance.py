"""Shares of variance: a published example, one by hand, and what must hold of any."""

import numpy as np
import pytest

from cnnjax.run.variance import variance_share_intervals, variance_shares

# Breaks of yarn of wool A and B at tension L, M and H, nine looms each: Tippett, Technological
# applications of statistics, 1950, p. 106; `warpbreaks` in R.
WARP_BREAKS = np.array(
    [
        [
            [26, 30, 54, 25, 70, 52, 51, 26, 67],
            [18, 21, 29, 17, 12, 18, 35, 30, 36],
            [36, 21, 24, 18, 10, 43, 28, 15, 26],
        ],
        [
            [27, 14, 29, 19, 29, 31, 41, 20, 44],
            [42, 26, 19, 16, 39, 28, 21, 39, 29],
            [20, 21, 24, 17, 13, 15, 15, 16, 28],
        ],
    ]
)


def test_the_published_sums_of_squares_of_warp_breaks():
    """R's summary(aov(breaks ~ wool * tension)) prints 450.7, 2034.3, 1002.8 and 5745.1."""
    total = ((WARP_BREAKS - WARP_BREAKS.mean()) ** 2).sum()
    squares = [total * share for share in variance_shares(WARP_BREAKS)]
    np.testing.assert_allclose(squares, [450.7, 2034.3, 1002.8, 5745.1], atol=0.05)


def test_shares_by_hand():
    # Means of rows 2 and 6, of columns 3 and 5, of cells 1, 3, 5, 7 about 4; replicates 1 apart.
    values = np.array([[[0, 2], [2, 4]], [[4, 6], [6, 8]]])
    shares = variance_shares(values)
    assert shares.first == pytest.approx(32 / 48)
    assert shares.second == pytest.approx(8 / 48)
    assert shares.interaction == pytest.approx(0, abs=1e-15)
    assert shares.residual == pytest.approx(8 / 48)
    assert variance_shares([[[1.0], [0.0]], [[0.0], [1.0]]])._asdict() == {
        "first": 0,
        "second": 0,
        "interaction": 1,
        "residual": 0,
    }


def test_shares_do_not_change_with_unit_or_origin_and_factors_can_be_swapped():
    values = np.random.default_rng(0).normal(size=(4, 3, 5))
    shares = np.array(variance_shares(values))
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(variance_shares(1000 - 3 * values), shares, rtol=1e-9)
    swapped = variance_shares(np.swapaxes(values, 0, 1))
    np.testing.assert_allclose(np.array(swapped)[[1, 0, 2, 3]], shares)
    many = np.array(variance_shares(np.stack([values, values**2])))
    np.testing.assert_allclose(many[:, 0], shares)


def test_no_share_of_no_variance():
    assert np.isnan(variance_shares(np.full((2, 3, 4), 0.1))).all()
    assert np.isnan(variance_share_intervals(np.full((2, 3, 4), 0.1), draws=10)).all()


def test_intervals_are_quantiles_over_the_same_seeds_in_every_combination():
    # Of two seeds a draw holds both or one twice: three analyses, of probability 1/4, 1/2, 1/4.
    values = np.array([[[0.0, 1.0], [0.0, 3.0]], [[2.0, 1.0], [2.0, 5.0]]])
    pairs = [(0, 0), (0, 1), (1, 1)]
    every = np.array([variance_shares(values[..., pair]) for pair in pairs])
    found = variance_share_intervals(values, draws=2000)
    for interval, shares in zip(found, every.T, strict=True):
        assert interval == pytest.approx((shares.min(), shares.max()))
    # Drawn apart, the seeds of a combination would mix: all of its mean is one seed's or none.
    narrow = variance_share_intervals(values, confidence=0.4, draws=2000)
    for interval, shares in zip(narrow, every.T, strict=True):
        assert np.isclose(shares[:, None], interval).any(0).all()
    assert variance_share_intervals(values, draws=50, seed=1) == variance_share_intervals(
        values, draws=50, seed=1
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), "shape"),
        (np.zeros((2, 0, 3)), "shape"),
        (np.full((2, 2, 2), np.nan), "must be finite"),
    ],
)
def test_wrong_values_are_one_sentence(values, message):
    with pytest.raises(ValueError, match=message):
        variance_shares(values)


def test_wrong_intervals_are_one_sentence():
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        variance_share_intervals(np.zeros((2, 2, 2)), confidence=95)
    with pytest.raises(
        ValueError, match=r"\[first, second, replicates\], got shape \(1, 2, 2, 2\)"
    ):
        variance_share_intervals(np.zeros((1, 2, 2, 2)))
