"""What share of each number's variance two factors explain, in results and in a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.report.table import LEAST, MISSING, Table, over_seeds
from cnnjax.run.cells import SEED
from cnnjax.run.observations import Observations
from cnnjax.run.variance import variance_share_intervals, variance_shares


def variance_results(
    found: Observations, numbers: Mapping[str, str], first: str, second: str
) -> list[dict[str, Any]]:
    """Shares of the variance of numbers by two factors, their interaction and the seeds.

    Args:
      found: the observations, all combinations of the two factors and the seeds, each once.
      numbers: for each name in words the name of a number.
      first: a factor.
      second: another.

    Returns:
      For each number its 'name', and for each of the factors, 'interaction' and 'seeds' the
      'share' and, from three seeds on, the 'interval' of 95 %, see `variance_share_intervals`. Both
      None where a combination lacks the number, or no value differs from another.

    Raises:
      ValueError: other factors, or a combination that is missing or there twice.
    """
    levels = [found.values(name) for name in (first, second, SEED)]
    shape = tuple(map(len, levels))
    places = [
        tuple(level.index(row[name]) for level, name in zip(levels, (first, second, SEED)))
        for row in found.rows
    ]
    if len(set(places)) < len(places) or len(places) != np.prod(shape):
        raise ValueError(
            f"observations must be one for each {first}, {second} and seed, {shape}, got "
            f"{len(places)} of {len(set(places))} different ones."
        )
    results = []
    for name, number in numbers.items():
        values = np.full(shape, np.nan)
        values[tuple(zip(*places))] = found.column(number)
        shares = intervals = (None,) * 4
        if np.isfinite(values).all() and np.ptp(values) > 0:
            shares = variance_shares(values)
            if shape[-1] >= LEAST:
                intervals = variance_share_intervals(values)
        parts = zip((first, second, "interaction", "seeds"), shares, intervals)
        results.append(
            {"name": name}
            | {
                part: {"share": None if share is None else float(share), "interval": interval}
                for part, share, interval in parts
            }
        )
    return results


def variance_table(
    results: Sequence[Mapping[str, Any]], seeds: int, names: Mapping[Any, str], caption: str = ""
) -> Table:
    """The table of `variance_results`, in percent with intervals.

    Args:
      results: of `variance_results`, at least one.
      seeds: how many there are.
      names: words for the factors.
      caption: what to say of the numbers.
    """
    parts = [part for part in results[0] if part != "name"]
    rows = [[each["name"], *(percent(each[part]) for part in parts)] for each in results]
    headings = [f"{names.get(part, part.replace('_', ' '))} (%)" for part in parts]
    intervals = "intervals of 95 % by bootstrap over seeds" if seeds >= LEAST else "no intervals"
    said = f"Shares of variance, eta squared: {over_seeds(seeds)}; {intervals}."
    align: list[Any] = ["left"] + ["right"] * len(parts)
    return Table(["variance of", *headings], rows, caption=f"{caption} {said}".strip(), align=align)


def percent(part: Mapping[str, Any]) -> str:
    """A share and its interval as text: '45 (38 to 52)'."""
    if part["share"] is None:
        return MISSING
    ends = part["interval"]
    between = f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})" if ends else ""
    return f"{100 * part['share']:.0f}{between}"
