"""Comparisons of conditions, paired by seed, that are more than one factor's values."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.report.findings import Names, groups_in_words
from cnnjax.report.table import Table, format_contrast
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import Summary

Conditions = Sequence[Mapping[str, Any]]
"""Values of factors that leave one network for each seed."""


def contrasts(
    found: Observations,
    number: str,
    listed: Mapping[str, tuple[Conditions, Conditions]],
    *by: str,
    names: Names = None,
) -> dict[str, dict[str, Summary]]:
    """Sums of a number over some conditions minus those over others, see `Observations.contrast`.

    Args:
      found: the observations.
      number: its name.
      listed: for each contrast's name the conditions that are added, and those subtracted.
      *by: factors in whose values each contrast is made apart.
      names: words for values of factors.

    Returns:
      Of each contrast its summary over seeds, by the group in words; a group without one of the
      conditions is left out.
    """
    table: dict[str, dict[str, Summary]] = {name: {} for name in listed}
    for words, group in groups_in_words(found, by, names):
        for name, sides in listed.items():
            change = group.contrast(number, *sides)
            if change is not None:
                table[name][", ".join(words)] = change
    return table


def contrast_table(
    table: Mapping[str, Mapping[str, Summary]],
    heading: str,
    scale: float = 1.0,
    caption: str = "",
) -> Table:
    """A table of `contrasts`: a row for each, a column for each group.

    A dash where a group lacks one, and for fewer than 3 seeds, which are no comparison.

    Args:
      table: from `contrasts`.
      heading: above the names of the contrasts.
      scale: values are multiplied by it.
      caption: what to say of the numbers.
    """
    groups = list(dict.fromkeys(group for row in table.values() for group in row))
    rows = [
        [name, *(format_contrast(row.get(group), scale) for group in groups)]
        for name, row in table.items()
    ]
    return Table([heading, *groups], rows, caption=caption)
