"""Any number of finished runs as one table: runs of equal configuration pooled over seeds."""

import dataclasses
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.cells import SEED, cell_of
from cnnjax.run.config import differences, read_json
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import Summary, summarize
from cnnjax.run.stored import TABLE

# Fields of a configuration that say which sample was drawn, or where files lie: not what was run.
_SAMPLE = ("seed", "seeds", "data_dir")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a finished run left."""

    directory: Path
    experiment: str
    """Its name, as the command line in environment.json gives it."""
    config: Mapping[str, Any]
    found: Observations
    """Its observations, with the speeds of timings.json."""
    environment: Mapping[str, Any]

    @property
    def setting(self) -> str:
        """What was run, in the same words for runs that differ in seeds alone."""
        kept = {key: value for key, value in self.config.items() if key not in _SAMPLE}
        return json.dumps([self.experiment, kept], sort_keys=True)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the comparison."""

    fields: Mapping[str, Any]
    """Values of the configuration's fields in which runs differ, and the experiment's name."""
    factors: Mapping[str, Any]
    """Values of the factors but for the seed."""
    values: Mapping[str, Summary]
    """Its numbers over all seeds."""
    runs: tuple[Path, ...]
    """Where they come from."""

    @property
    def names(self) -> dict[str, Any]:
        """What tells it from other rows."""
        return {**self.fields, **self.factors}


def read_runs(directories: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The finished runs among the directories, and for each other one what is wrong with it."""
    runs, left_out = [], []
    for directory in dict.fromkeys(directories):
        try:
            runs.append(_read(directory))
        except (ValueError, OSError) as error:
            left_out.append(str(error).rstrip("."))
    return runs, left_out


def compare(runs: Sequence[Run]) -> list[Row]:
    """A row for each cell of each configuration, over all seeds of all runs of it.

    Rows are in the order of the values where these are numbers, else of their first appearance.

    Raises:
      ValueError: a seed of a cell is there twice, which would count twice.
    """
    cells: dict[tuple, dict[int, tuple[Run, Mapping[str, Any]]]] = {}
    for run in runs:
        for row in run.found.rows:
            factors = tuple((name, row[name]) for name in run.found.factors[:-1] if name in row)
            seeds = cells.setdefault((run.setting, factors), {})
            if row[SEED] in seeds:
                raise ValueError(_twice(seeds[row[SEED]][0].directory, run.directory, row[SEED]))
            seeds[row[SEED]] = run, row
    fields = _differing(runs)
    rows = [
        _pooled(fields[setting], dict(factors), seeds.values())
        for (setting, factors), seeds in cells.items()
    ]
    rows = _without_lists(rows)
    places = {name: _places(name, rows) for name in names_of(rows)}

    def order(row: Row) -> list[float]:
        return [place.get(shown(row.names.get(name)), math.inf) for name, place in places.items()]

    return sorted(rows, key=order)


def swept(rows: Sequence[Row]) -> str | None:
    """The name of the number over which the rows are a sweep; None if they are over names.

    It is a field of the configuration, or a factor of more than two values, that is a number in
    every row; of several the one with the most values.
    """
    counts = {}
    for name in names_of(rows):
        values = [row.names.get(name) for row in rows]
        least = 2 if any(name in row.fields for row in rows) else 3
        if all(map(_is_number, values)) and len(set(values)) >= least:
            counts[name] = len(set(values))
    return max(counts, key=counts.__getitem__, default=None)


def names_of(rows: Sequence[Row]) -> list[str]:
    """Names of fields, then of factors, each once."""
    fields = dict.fromkeys(name for row in rows for name in row.fields)
    return list(fields | dict.fromkeys(name for row in rows for name in row.factors))


def shown(value: Any) -> str:
    """A value of a field or factor in a table; '' if there is none."""
    if value is None:
        return ""
    if isinstance(value, list) and value and all(isinstance(v, dict | str) for v in value):
        return ", ".join(map(shown, value))
    if isinstance(value, dict) and value.keys() == {"name", "arguments"}:  # a convolution
        arguments = ", ".join(f"{key}={item}" for key, item in value["arguments"].items())
        return f"{value['name']}({arguments})" if arguments else value["name"]
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _read(directory: Path) -> Run:
    wanted = {"config.json": "is no run", "done": "is not finished", TABLE: f"has no {TABLE}"}
    for name, lack in wanted.items():
        if not (directory / name).is_file():
            raise ValueError(f"{directory} {lack}")
    timings, config, environment = (
        read_json(path) if (path := directory / f"{name}.json").is_file() else {}
        for name in ("timings", "config", "environment")
    )
    if not all(isinstance(value, dict) for value in (timings, config, environment)):
        raise ValueError(f"{directory} holds JSON files that are no objects")
    found = Observations.read(directory)
    if not found.numbers:
        raise ValueError(f"{directory} has no numbers in {TABLE}")
    rows = []
    for row in found.rows:
        if type(row.get(SEED)) is not int:
            raise ValueError(f"{directory / TABLE} must have a seed a line, got {row.get(SEED)!r}")
        for name in set(row) - set(found.factors):
            if not math.isfinite(row[name] if isinstance(row[name], int | float) else math.nan):
                raise ValueError(
                    f"{directory / TABLE} has {row[name]!r} under {name!r}, which is no number"
                )
        measured = timings.get(cell_of(row, found.factors).name)
        speeds = measured.items() if isinstance(measured, dict) else ()
        rows.append({**row, **{name: value for name, value in speeds if _is_number(value)}})
    command = shlex.split(str(environment.get("command", "")))
    experiment = command[2] if len(command) > 2 else directory.parent.name
    return Run(directory, experiment, config, Observations(rows, found.factors), environment)


def _differing(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """For each setting the fields in which other runs of the experiment differ from it."""
    settings = {run.setting: run for run in runs}
    several = len({run.experiment for run in runs}) > 1
    found = {}
    for setting, run in settings.items():
        others = [other for other in settings.values() if other.experiment == run.experiment]
        names = {name: None for other in others for name in differences(run.config, other.config)}
        values = {name: value for name, (value, _) in differences(run.config, {}).items()}
        found[setting] = {"experiment": run.experiment} if several else {}
        for name in names:
            if name not in _SAMPLE and values.get(name) is not None:
                found[setting][name] = values[name]
    return found


def _pooled(
    fields: Mapping[str, Any],
    factors: Mapping[str, Any],
    found: Iterable[tuple[Run, Mapping[str, Any]]],
) -> Row:
    """The row of a cell, over all seeds."""
    numbers: dict[str, list[float]] = {}
    runs = {}
    for run, row in found:
        runs[run.directory] = None
        for name, value in row.items():
            if name != SEED and name not in factors:
                numbers.setdefault(name, []).append(float(value))
    values = {name: summarize(values) for name, values in numbers.items()}
    return Row(fields, factors, values, tuple(runs))


def _twice(first: Path, second: Path, seed: int) -> str:
    if first == second:
        return f"{first / TABLE} has seed {seed} of one cell twice."
    runs = f"{first} and {second} are runs of one configuration"
    return f"{runs} that share seed {seed}: give one of them."


def _without_lists(rows: Sequence[Row]) -> list[Row]:
    """Without fields that list what a run compares, where factors tell the rows apart."""
    for name in names_of(rows):
        values = [row.fields[name] for row in rows if name in row.fields]
        if not values or not all(isinstance(value, list) for value in values):
            continue
        less = [
            dataclasses.replace(row, fields={k: v for k, v in row.fields.items() if k != name})
            for row in rows
        ]
        if _told_apart(less) == _told_apart(rows):
            rows = less
    return list(rows)


def _told_apart(rows: Sequence[Row]) -> int:
    return len({tuple((name, shown(value)) for name, value in row.names.items()) for row in rows})


def _places(name: str, rows: Sequence[Row]) -> dict[str, float]:
    """The place of each value of a field or factor: by size if all are numbers."""
    values = [row.names[name] for row in rows if name in row.names]
    if all(map(_is_number, values)):
        return {shown(value): value for value in values}
    return {text: place for place, text in enumerate(dict.fromkeys(map(shown, values)))}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
