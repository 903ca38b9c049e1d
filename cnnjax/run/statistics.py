"""Mean, spread and confidence interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    from scipy import special


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation of `n` independent values (seeds).

    `std` divides by n - 1, and is None when n is 1: one value says nothing about its spread.
    """

    mean: float
    std: float | None
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"a Summary needs at least one value, but n is {self.n}.")
        if (self.std is None) != (self.n == 1):
            raise ValueError(
                f"std must be None exactly when n is 1, but std is {self.std} with n {self.n}."
            )

    def half_width(self) -> float | None:
        """Half of the 95 % interval of the mean, `t * std / sqrt(n)`; None when n is 1.

        t is the 0.975 quantile of Student's t with n - 1 degrees of freedom (Gosset, 1908).
        """
        if self.std is None:
            return None
        return float(special.stdtrit(self.n - 1, 0.975) * self.std / math.sqrt(self.n))

    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval (mean - half_width, mean + half_width) of the mean, or None."""
        half_width = self.half_width()
        return None if half_width is None else (self.mean - half_width, self.mean + half_width)


def summarize(values: Sequence[float] | np.ndarray) -> Summary:
    """Summary of a vector of values; raises ValueError when it is empty or not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"summarize needs a vector of values, but got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"summarize needs finite values, but got {array.tolist()}.")
    std = float(array.std(ddof=1)) if array.size > 1 else None
    return Summary(mean=float(array.mean()), std=std, n=int(array.size))


def bootstrap_interval(
    values: np.ndarray, confidence: float = 0.95, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean that counts the choice of the images as well as that of the seeds.

    Each draw takes as many seeds and as many images as there are, with replacement and independent
    of each other, and averages the values of all pairs; the interval is that of the means'
    quantiles. A bootstrap over few seeds is far too narrow: their deviations are expanded by

        sqrt(n / (n - 1)) t / z

    with t and z the quantiles of Student's t with n - 1 degrees of freedom and of the normal
    distribution, so that seeds without noise of images have about the interval of `Summary` (of
    nominal 95 % over 3 seeds 74 % would hold the mean, with it 95 %). For a paired difference pass
    the differences. A little too wide where the noise of both, or of single pairs, counts.
    Source: Owen, The pigeonhole bootstrap, 2007; Hesterberg, What teachers should know about the
    bootstrap, 2014 (the expanded percentile interval).

    Args:
      values: `[seeds, images]`, such as 1 where a network is correct and 0 where not.
      confidence: probability between the two quantiles.
      draws: number of draws.
      seed: of the draws: equal arguments give equal intervals.

    Raises:
      ValueError: values of another rank or not finite, or a confidence not between 0 and 1.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"`values` must be finite, [seeds, images], got shape {values.shape}.")
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be between 0 and 1, got {confidence!r}.")
    random = np.random.default_rng(seed)
    # How often each seed and each image is drawn; the mean is bilinear in these.
    seeds, images = (
        random.multinomial(size, np.full(size, 1 / size), draws) / size for size in values.shape
    )
    mean, tail, count = values.mean(), (1 - confidence) / 2, len(values)
    deviations = values - mean
    if count > 1:
        expansion = math.sqrt(count / (count - 1))
        expansion *= special.stdtrit(count - 1, 1 - tail) / special.ndtri(1 - tail)
        deviations += (expansion - 1) * deviations.mean(1, keepdims=True)
    changes = np.einsum("ds,si,di->d", seeds, deviations, images, optimize=True)
    low, high = mean + np.quantile(changes, [tail, 1 - tail])
    return float(low), float(high)


def significant(values: np.ndarray, digits: int = 4) -> np.ndarray:
    """Values rounded to so many significant digits, which keep what is small apart from zero."""
    rounded = np.vectorize(lambda value: float(f"{value:.{digits}g}"), otypes=[float])
    return rounded(values)


def finite(value: float) -> float | None:
    """The number; None, which an observation holds for what is missing, for NaN and infinity."""
    return float(value) if np.isfinite(value) else None
