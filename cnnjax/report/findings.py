"""What observations say, in tables and sentences: groups of networks, their numbers over seeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.report.page import Paragraph
from cnnjax.report.table import (
    LEAST,
    MISSING,
    Table,
    counted,
    format_count,
    format_number,
    format_summary,
    listed,
    over_seeds,
)
from cnnjax.run.cells import SEED, text_of
from cnnjax.run.config import read_json
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary, summarize

with lazy_imports():
    from cnnjax.run import metrics

Column = str | tuple[str, float] | Callable[[Observations], str]
"""A number by its name, with a factor such as 100 for percent, or what makes a cell of a group."""

Names = Mapping[Any, str] | None
"""Words for values of factors, and for factors in the headings of tables."""


def summary_table(
    found: Observations,
    columns: Mapping[str, Column],
    *by: str,
    names: Names = None,
    caption: str = "",
) -> Table:
    """A table with a row for each group: its factors, then each number over its seeds.

    Whole numbers that are the same for all seeds, such as those of parameters, are counts; what
    holds or not is yes or no. The caption ends with over how many seeds the numbers are.

    Args:
      found: the observations.
      columns: for each heading the name of a number, the name and a scale, or a function from the
        observations of a group to the text of its cell.
      *by: factors of the groups; by default all but the seed.
      names: words for values of factors, and for factors in the headings.
      caption: what else to say of the numbers.

    Raises:
      ValueError: there is no such number or factor, or a group has a number of a seed twice.
    """
    _require_numbers(found, columns)
    names = names or {}
    rows, seeds = [], set()
    for cells, group in groups_in_words(found, by, names):
        for column in columns.values():
            if isinstance(column, str | tuple):
                number, scale = (column, 1.0) if isinstance(column, str) else column
                summary = over(group, number)
                seeds |= set() if summary is None else {summary.n}
                cells.append(_cell(group, number, summary, scale))
            else:
                cells.append(column(group))
        rows.append(cells)
    said = [caption] if caption else []
    if seeds:
        counts = over_seeds(max(seeds))
        fewer = f" (of {min(seeds)} where one is missing)" if len(seeds) > 1 else ""
        said.append(f"{counts[0].upper()}{counts[1:]}{fewer}.")
    headings = [names.get(name, name.replace("_", " ")) for name in by or found.conditions]
    return Table([*headings, *columns], rows, caption=" ".join(said))


def summaries(
    found: Observations, columns: Mapping[str, str], *by: str, names: Names = None
) -> dict[str, dict[str, Summary]]:
    """Numbers of each group by its name in words, as `dots` draws them.

    Args:
      found, by, names: as `summary_table` takes them.
      columns: for each series the name of a number.

    Raises:
      ValueError: as `summary_table`, or a group lacks a number.
    """
    _require_numbers(found, columns)
    rows: dict[str, dict[str, Summary]] = {}
    for words, group in groups_in_words(found, by, names):
        row = rows[", ".join(words)] = {}
        for series, number in columns.items():
            summary = over(group, number)
            if summary is None:
                raise ValueError(f"{', '.join(words)} must have the number {number!r}, got none.")
            row[series] = summary
    return rows


def groups_in_words(
    found: Observations, by: Sequence[str], names: Names = None
) -> Iterator[tuple[list[str], Observations]]:
    """The words for each group, one for each factor, and its observations."""
    by = by or found.conditions
    for key, group in found.groups(*by).items():
        yield [name_of(value, names or {}) for value in (key if len(by) != 1 else (key,))], group


def over(group: Observations, number: str) -> Summary | None:
    """A number over the seeds of a group; None where it has none.

    Raises:
      ValueError: a seed has the number twice: what differs is no seed, and makes no interval.
    """
    rows = [row for row in group.rows if row.get(number) is not None]
    if not rows:
        return None
    seeds = [row[SEED] for row in rows]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"{number!r} must have one value for each seed of a group, got seeds {seeds}: group by "
            f"more of {list(group.factors)}."
        )
    return summarize([row[number] for row in rows])


def name_of(value: Any, names: Mapping[Any, str]) -> str:
    """The words for a factor's value."""
    if value is None:
        return MISSING
    return names.get(value, names.get(text_of(value), str(value)))


def setting(record: Record, found: Observations) -> Paragraph:
    """A sentence on the data, and on how the networks of a run were trained."""
    parts = [_data(facts) for facts in record.tasks.values()]
    seeds = counted(len(found.seeds), "seed")
    train = record.config.get("train")
    if train:
        rates = {row["learning_rate"] for row in found.rows if "learning_rate" in row}
        rates = sorted(rates or {train["learning_rate"]})
        rate = " to ".join(f"{rate:g}" for rate in dict.fromkeys((rates[0], rates[-1])))
        budget = f"{train['steps']:,} steps of {train['batch_size']:,} images"
        seeds = f"{budget}, learning rate {rate}, {seeds}"
    return Paragraph(f"{'; '.join([*parts, seeds])}.")


def _data(facts: Mapping[str, Any]) -> str:
    splits = {"train": "training", "validation": "validation", "test": "test"}
    sizes = {word: facts.get(f"{split}_examples") for split, word in splits.items()}
    counts = [f"{size:,} {word}" for word, size in sizes.items() if size]
    shape = " x ".join(map(str, facts["image_shape"]))
    return f"{facts['data']}: {listed(counts)} images of {shape}"


def images_per_second(record: Record, group: Observations) -> float | None:
    """Speed of training, mean over the networks of a group; None where it was not measured."""
    file = record.directory / "timings.json"
    timings = read_json(file) if file.is_file() else {}
    speeds = [timings.get(cell.name, {}).get("images_per_second") for cell in group.cells]
    measured = [speed for speed in speeds if speed]
    return float(np.mean(measured)) if measured else None


def costs(
    record: Record, found: Observations, *by: str, names: Names = None
) -> dict[str, dict[str, float | None]]:
    """Parameters, multiply-adds of an image and training speed of each group, as `bars` draws them.

    Args:
      record: of the run.
      found: its observations, with the numbers 'parameters' and 'multiply_adds'.
      by, names: as `summary_table` takes them.
    """
    return {
        ", ".join(words): {
            "parameters": group.column("parameters")[0],
            "multiply-adds per image": group.column("multiply_adds")[0],
            "training images per second": images_per_second(record, group),
        }
        for words, group in groups_in_words(found, by, names)
    }


def learning_rate(group: Observations) -> str:
    """The learning rate of a group as a cell of `summary_table`; a dash of what is not trained.

    Raises:
      ValueError: the networks of the group have different ones.
    """
    rates = {row.get("learning_rate") for row in group.rows}
    if len(rates) > 1:
        raise ValueError(f"a group must have one learning rate, got {sorted(map(str, rates))}.")
    return format_number(rates.pop())


def curves_of(
    record: Record, found: Observations, *by: str, names: Names = None
) -> dict[str, list[dict[str, Any]]]:
    """Learning curves of the networks of each group, as the figure `learning_curves` draws them.

    Args:
      record: of the run.
      found, by, names: as `summary_table` takes them.
    """
    curves = metrics.learning_curves(record.read_metrics())
    return {
        ", ".join(words): [curves[cell.name] for cell in group.cells if cell.name in curves]
        for words, group in groups_in_words(found, by, names)
    }


def _cell(group: Observations, number: str, summary: Summary | None, scale: float) -> str:
    if summary is None:
        return MISSING
    values = {row[number] for row in group.rows if row.get(number) is not None}
    if all(isinstance(value, bool) for value in values):
        holds = round(summary.mean * summary.n)
        return {0: "no", summary.n: "yes"}.get(holds, f"{holds} of {summary.n}")
    (value, *others) = values
    if scale == 1 and not others and isinstance(value, int):
        return format_count(value, 3) if value >= 0 else format_number(value)
    return format_summary(summary, scale)


def _require_numbers(found: Observations, columns: Mapping[str, Any]) -> None:
    for column in columns.values():
        number = column[0] if isinstance(column, tuple) else column
        if isinstance(number, str) and number not in found.numbers:
            raise ValueError(f"number must be one of {list(found.numbers)}, got {number!r}.")


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
