"""A table whose lines are mappings, such as entries of results.json; cells that may be empty."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnjax.report.table import MISSING, Table, counted, format_number, format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import Summary, summarize

RowColumn = str | tuple[str, float] | Callable[[Mapping[str, Any]], str]
"""Key of a value, key and scale of a number, or function from a row to the text of its cell."""


def rows_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, RowColumn],
    caption: str = "",
    *,
    digits: int = 3,
) -> Table:
    """A table with a line for each mapping.

    A missing value or None is a dash; text stays as it is; a sequence, such as a shape, is
    '4 x 4'; a Summary is its mean and interval; yes or no, what is true or not.

    Args:
      rows: the mappings.
      columns: for each heading the key of a value, the key and a scale, or a function from the row
        to the text of its cell.
      caption: what to say of the numbers.
      digits: significant digits of numbers that have no interval.

    Raises:
      ValueError: a key that no row has.
    """
    for column in columns.values():
        key = column[0] if isinstance(column, tuple) else column
        if isinstance(key, str) and rows and not any(key in row for row in rows):
            known = dict.fromkeys(name for row in rows for name in row)
            raise ValueError(f"a column must be one of {list(known)}, got {key!r}.")
    lines = [[_cell(row, column, digits) for column in columns.values()] for row in rows]
    return Table(list(columns), lines, caption=caption)


def _cell(row: Mapping[str, Any], column: RowColumn, digits: int) -> str:
    if not isinstance(column, str | tuple):
        return column(row)
    key, scale = (column, 1.0) if isinstance(column, str) else column
    match row.get(key):
        case None:
            return MISSING
        case str() as text:
            return text
        case bool() as holds:
            return "yes" if holds else "no"
        case Summary() as summary:
            return format_summary(summary, scale, digits=digits)
        case list() | tuple() as sizes:
            return " x ".join(map(str, sizes))
        case int() as count if scale == 1:
            return f"{count:,}"
        case number:
            return format_number(scale * number, digits)


def reached(group: Observations, number: str, scale: float = 1.0) -> str:
    """A number over seeds if each has it, else how many do: '68,000 ± 19,000', '1 of 3 seeds'.

    For what is reached or not within a budget: a mean over those that reached it is too small.

    Args:
      group: observations, one for each seed.
      number: its name, which rows may lack.
      scale: values are multiplied by it.
    """
    values = [row[number] for row in group.rows if row.get(number) is not None]
    if len(values) < len(group):
        return f"{len(values)} of {counted(len(group), 'seed')}"
    return format_summary(summarize(values), scale)
