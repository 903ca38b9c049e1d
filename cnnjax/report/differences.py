"""Tables of paired differences: the same seed, and every other factor the same."""

from collections.abc import Mapping

from cnnjax.report.findings import Names, name_of
from cnnjax.report.table import LEAST, MISSING, Table, format_summary, over_seeds
from cnnjax.run.cells import text_of
from cnnjax.run.observations import Observations


def difference_table(
    found: Observations,
    columns: Mapping[str, str | tuple[str, float]],
    factor: str,
    against: object,
    *,
    names: Names = None,
    caption: str = "",
) -> Table:
    """A table of what numbers change when one factor has another value, paired by seed.

    A row for each value of the factor but `against`, and each combination of the other factors
    that has both; factors that do not vary are left out. A dash where either lacks the number, and
    for fewer than 3 seeds, which are no comparison.

    Args:
      found: the observations.
      columns: for each heading the name of a number, or the name and a scale.
      factor: whose values are compared.
      against: the value that is subtracted.
      names: words for values of factors, and for factors in the headings.
      caption: what to say of the numbers.

    Raises:
      ValueError: `against` is no value of the factor, or a seed has no partner.
    """
    names = names or {}
    if against not in found.values(factor):
        raise ValueError(f"against must be one of {found.values(factor)}, got {against!r}.")
    others = [
        name
        for name in found.conditions
        if name != factor and len({text_of(row.get(name)) for row in found.rows}) > 1
    ]
    groups = found.groups(*others) if others else {(): found}
    rows = []
    for key, group in groups.items():
        words = [name_of(each, names) for each in (key if len(others) != 1 else (key,))]
        values = group.values(factor)
        for value in values if against in values else ():
            if value != against:
                pair = group.where(**{factor: (value, against)})
                cells = [_difference(pair, column, factor, against) for column in columns.values()]
                rows.append([*words, name_of(value, names), *cells])
    heads = [names.get(name, name.replace("_", " ")) for name in (*others, factor)]
    compared = (
        f"Minus {heads[-1]} {name_of(against, names)}, paired by seed: "
        f"{over_seeds(len(found.seeds))}."
    )
    return Table([*heads, *columns], rows, caption=f"{caption} {compared}".strip())


def _difference(
    pair: Observations, column: str | tuple[str, float], factor: str, against: object
) -> str:
    number, scale = (column, 1.0) if isinstance(column, str) else column
    if any(row.get(number) is None for row in pair.rows):
        return MISSING
    (change,) = pair.differences(number, factor, against).values()
    return format_summary(change, scale) if change.n >= LEAST else MISSING
