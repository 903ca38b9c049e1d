"""How many examples a network needs to learn, read off its learning curve."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    rows: Sequence[Mapping[str, Any]], x: str, y: str, seed: str = "seed"
) -> tuple[list[float], list[float]]:
    """Exponents of one number in another, a power law for each seed.

    Only the x at which every seed has y count, so that all exponents are of the same x; there is
    none for fewer than two such x.

    Args:
      rows: observations, a mapping for each network; those without x do not count.
      x: name of the number that is raised to a power.
      y: name of the other, which may be missing or None.
      seed: name of the seed.

    Returns:
      The x that count, and the exponent of each seed.
    """
    found = {(row[x], row[seed]): row.get(y) for row in rows if row.get(x) is not None}
    seeds = dict.fromkeys(each for _, each in found)
    complete = [
        place
        for place in sorted({place for place, _ in found})
        if all(found.get((place, each)) is not None for each in seeds)
    ]
    exponents = [
        power_law_exponent(complete, np.array([found[place, each] for place in complete], float))
        for each in seeds
    ]
    return complete, [each for each in exponents if each is not None]
