"""How many examples a network needs to learn, read off its learning curve."""

from collections.abc import Mapping, Sequence

import numpy as np


def examples_to_reach(
    examples: Sequence[float] | np.ndarray, scores: Sequence[float] | np.ndarray, level: float
) -> float | None:
    """Number of training examples at which a learning curve first reaches a level.

    Linear between the points of the curve in the logarithm of the number of examples: where score
    i is the first at the level, with its fraction f = (level - s[i-1]) / (s[i] - s[i-1]),

        n = n[i-1]^(1 - f) n[i]^f

    None where the curve does not reach the level, or begins at or above it: nothing is
    extrapolated.

    Args:
      examples: numbers of training examples, positive and increasing.
      scores: the score after each, such as the accuracy.
      level: what is to be reached.

    Raises:
      ValueError: numbers that do not increase, or not one score for each.
    """
    n, s = np.asarray(examples, float), np.asarray(scores, float)
    if n.ndim != 1 or n.shape != s.shape:
        raise ValueError(f"`scores` must be one for each of {n.shape} examples, got {s.shape}.")
    if not len(n) or n[0] <= 0 or np.any(np.diff(n) <= 0):
        raise ValueError(f"`examples` must be positive and increase, got {n.tolist()}.")
    reached = np.flatnonzero(s >= level)
    if not len(reached) or reached[0] == 0:
        return None
    after = reached[0]
    part = (level - s[after - 1]) / (s[after] - s[after - 1])
    return float(n[after - 1] ** (1 - part) * n[after] ** part)


def power_law_exponent(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray
) -> float | None:
    """Exponent a of the power law y = c x^a: the slope of log y on log x by least squares.

    None for fewer than two different x.

    Raises:
      ValueError: a number that is not positive and finite, or not one y for each x.
    """
    values = np.array([x, y], float)
    if values.size and not (np.isfinite(values).all() and values.min() > 0):
        raise ValueError(f"`x` and `y` must be positive and finite, got {values.tolist()}.")
    if len(set(values[0])) < 2:
        return None
    log_x, log_y = np.log(values)
    centred = log_x - log_x.mean()
    return float(centred @ log_y / (centred @ centred))


def power_laws(
    values: Mapping[float, Mapping[int, float | None]],
) -> tuple[list[float], list[float]]:
    """Power laws of a number that several seeds have at several x: which x, and their exponents.

    Only the x at which every seed has the number count, so that all exponents are of the same x;
    there is none for fewer than two such x.

    Args:
      values: for each x the number of each seed, None where it is missing.
    """
    seeds = dict.fromkeys(seed for numbers in values.values() for seed in numbers)
    found = {
        x: [numbers.get(seed) for seed in seeds]
        for x, numbers in sorted(values.items())
        if all(numbers.get(seed) is not None for seed in seeds)
    }
    columns = np.array(list(found.values()), float).T
    exponents = [power_law_exponent(list(found), column) for column in columns]
    return list(found), [each for each in exponents if each is not None]
