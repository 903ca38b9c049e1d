"""Analysis of variance: what share of a number's variance each of two factors explains."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import numpy as np


class VarianceShares(NamedTuple):
    """Shares of the total sum of squares, which sum to 1; or something of each of them."""

    first: Any
    """The first factor's: that of its means over everything else."""
    second: Any
    """The second factor's."""
    interaction: Any
    """What the means of the combinations differ by from the sum of both factors' effects."""
    residual: Any
    """The replicates', about the means of their combinations."""


def variance_shares(values: np.ndarray) -> VarianceShares:
    """Shares of variance (eta squared) of a balanced two-way analysis of variance.

        eta^2_first       = b n sum_i (m_i - m)^2                      / SS
        eta^2_second      = a n sum_j (m_j - m)^2                      / SS
        eta^2_interaction = n sum_ij (m_ij - m_i - m_j + m)^2          / SS
        eta^2_residual    = sum_ijk (y_ijk - m_ij)^2                   / SS
        SS                = sum_ijk (y_ijk - m)^2

    where m_i, m_j, m_ij and m are means of y over what the index does not name. All are NaN where
    no value differs from another.
    Source: Fisher, Statistical methods for research workers, 1925, chapter 7; Cohen, Eta-squared
    and partial eta-squared in fixed factor ANOVA designs, 1973.

    Args:
      values: y `[..., a, b, n]`: levels of the first and second factor, and replicates (seeds);
        further leading axes are further analyses.

    Returns:
      The four shares, each of the shape of the leading axes.

    Raises:
      ValueError: fewer than three axes, an empty one, or values that are not finite.
    """
    values = np.asarray(values, np.float64)
    if values.ndim < 3 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"`values` must be finite, [..., first, second, replicates], got shape {values.shape}."
        )
    axes = first, second, replicate = -3, -2, -1
    # Differences from one of them, which are exactly zero where all are equal.
    centred = values - values[..., :1, :1, :1]
    centred = centred - centred.mean(axes, keepdims=True)
    cells = centred.mean(replicate, keepdims=True)
    rows, columns = cells.mean(second, keepdims=True), cells.mean(first, keepdims=True)
    effects = rows, columns, cells - rows - columns, centred - cells
    squares = [(np.broadcast_to(effect, values.shape) ** 2).sum(axes) for effect in effects]
    total = sum(squares)
    with np.errstate(invalid="ignore"):
        return VarianceShares(*(each / total for each in squares))


def variance_share_intervals(
    values: np.ndarray, confidence: float = 0.95, draws: int = 10_000, seed: int = 0
) -> VarianceShares:
    """Bootstrap intervals over replicates of the shares of `variance_shares`.

    Each draw takes as many replicates as there are, with replacement, the same ones in every
    combination, since a seed is one draw of data order and initial weights for all of them; the
    interval is that of the shares' quantiles. Too narrow for fewer than about 5 replicates, as any
    bootstrap, and the residual share is too small in most draws, which repeat a replicate.
    Source: Efron, Tibshirani, An introduction to the bootstrap, 1993, chapter 13.

    Args:
      values: `[first, second, replicates]`.
      confidence: probability between the two quantiles.
      draws: number of draws.
      seed: of the draws: equal arguments give equal intervals.

    Returns:
      For each share its interval `(low, high)`; NaN where no value differs from another.

    Raises:
      ValueError: as `variance_shares`, or a confidence not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1, got {confidence!r}.")
    values = np.asarray(values, np.float64)
    if values.ndim != 3:
        raise ValueError(f"`values` must be [first, second, replicates], got shape {values.shape}.")
    count = values.shape[-1]
    drawn = np.random.default_rng(seed).integers(count, size=(draws, count))
    shares = variance_shares(np.moveaxis(values[..., drawn], 2, 0))
    tail = (1 - confidence) / 2
    return VarianceShares(
        *(tuple(map(float, np.quantile(each, [tail, 1 - tail]))) for each in shares)
    )
