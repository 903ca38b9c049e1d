"""Any number of finished runs as one table: runs of equal configuration pooled over seeds."""

import csv
import dataclasses
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.cells import SEED, cell_of
from cnnjax.run.config import differences, read_json
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import Summary, summarize

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
        except (ValueError, OSError, csv.Error) as error:
            left_out.append(str(error).rstrip("."))
    return runs, left_out


def compare(runs: Sequence[Run]) -> list[Row]:
    """A row for each cell of each configuration, over all seeds of all runs of it.

    Rows are in the order of the values where these are numbers, else of their first appearance.

    Raises:
      ValueError: a seed of a cell is there twice, which would count twice.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.setting, []).append(run)
    settings = _differing([group[0] for group in groups.values()])
    rows = [
        row
        for group, fields in zip(groups.values(), settings, strict=True)
        for row in _pooled(group, fields)
    ]
    rows = _without_lists(rows)
    places = {name: _places(name, rows) for name in _names(rows)}
    return sorted(
        rows,
        key=lambda row: [
            place.get(shown(row.names.get(name)), math.inf) for name, place in places.items()
        ],
    )


def swept(rows: Sequence[Row]) -> str | None:
    """The name of the number over which the rows are a sweep; None if they are over names.

    It is a field of the configuration, or a factor of more than two values, that is a number in
    every row; of several the one with the most values.
    """
    counts = {}
    for name in _names(rows):
        values = [row.names.get(name) for row in rows]
        least = 2 if any(name in row.fields for row in rows) else 3
        if all(map(_is_number, values)) and len(set(values)) >= least:
            counts[name] = len(set(values))
    return max(counts, key=counts.__getitem__, default=None)


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
    if not (directory / "config.json").is_file():
        raise ValueError(f"{directory} is no run")
    if not (directory / "done").is_file():
        raise ValueError(f"{directory} is not finished")
    if not (directory / "observations.csv").is_file():
        raise ValueError(f"{directory} has no observations.csv")
    timings, config, environment = (
        read_json(path) if (path := directory / f"{name}.json").is_file() else {}
        for name in ("timings", "config", "environment")
    )
    if not all(isinstance(value, dict) for value in (timings, config, environment)):
        raise ValueError(f"{directory} holds JSON files that are no objects")
    try:
        found = Observations.read(directory)
    except csv.Error as error:
        raise ValueError(f"{directory}/observations.csv is no CSV: {error}") from error
    for row in found.rows:
        for name, value in row.items():
            if name == SEED and (isinstance(value, bool) or not isinstance(value, int)):
                raise ValueError(f"{directory}/observations.csv has a seed {value!r}")
            if name not in found.factors and not (
                isinstance(value, bool) or (_is_number(value) and math.isfinite(value))
            ):
                raise ValueError(
                    f"{directory}/observations.csv has {value!r} under {name!r}, which is no number"
                )
        if SEED not in row:
            raise ValueError(f"{directory}/observations.csv has a line without a seed")
    if not found.numbers:
        raise ValueError(f"{directory} has no numbers in observations.csv")
    rows = [{**row, **_speeds(timings, row, found.factors)} for row in found.rows]
    command = shlex.split(str(environment.get("command", "")))
    experiment = command[2] if len(command) > 2 else directory.parent.name
    return Run(directory, experiment, config, Observations(rows, found.factors), environment)


def _speeds(
    timings: Mapping[str, Any], row: Mapping[str, Any], factors: Sequence[str]
) -> dict[str, float]:
    """The numbers that timings.json has of the network of a row."""
    name = cell_of(row, factors).name
    measured = timings.get(name, {})
    if not isinstance(measured, dict):
        return {}
    return {key: value for key, value in measured.items() if _is_number(value)}


def _differing(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each run the fields of its configuration that other runs of its experiment differ in."""
    named = len({run.experiment for run in runs}) > 1
    found = []
    for run in runs:
        fields = {
            name: None
            for other in runs
            if other.experiment == run.experiment
            for name in differences(run.config, other.config)
            if name not in _SAMPLE
        }
        values = {name: value for name, (value, _) in differences(run.config, {}).items()}
        kept = {name: values[name] for name in fields if values.get(name) is not None}
        found.append(({"experiment": run.experiment} if named else {}) | kept)
    return found


def _pooled(group: Sequence[Run], fields: Mapping[str, Any]) -> list[Row]:
    """The rows of runs that differ in seeds alone: one for each cell, over all seeds."""
    cells: dict[tuple, dict[int, tuple[Mapping[str, Any], Path]]] = {}
    for run in group:
        for row in run.found.rows:
            key = tuple((name, row[name]) for name in run.found.factors[:-1] if name in row)
            seeds = cells.setdefault(key, {})
            if row[SEED] in seeds:
                raise ValueError(_twice(seeds[row[SEED]][1], run.directory, row[SEED]))
            seeds[row[SEED]] = (row, run.directory)
    found = []
    for key, seeds in cells.items():
        numbers: dict[str, list[float]] = {}
        for row, _ in seeds.values():
            for name, value in row.items():
                if name != SEED and name not in dict(key):
                    numbers.setdefault(name, []).append(float(value))
        found.append(
            Row(
                fields,
                dict(key),
                {name: summarize(values) for name, values in numbers.items()},
                tuple(dict.fromkeys(directory for _, directory in seeds.values())),
            )
        )
    return found


def _twice(first: Path, second: Path, seed: int) -> str:
    if first == second:
        return f"{first}/observations.csv has seed {seed} of one cell twice."
    return (
        f"{first} and {second} are runs of one configuration that share seed {seed}: give one of "
        "them."
    )


def _without_lists(rows: Sequence[Row]) -> list[Row]:
    """Without fields that list what a run compares, where factors tell the rows apart."""
    for name in _names(rows):
        values = [row.fields[name] for row in rows if name in row.fields]
        if not values or not all(isinstance(value, list) for value in values):
            continue
        less = [
            dataclasses.replace(row, fields={k: v for k, v in row.fields.items() if k != name})
            for row in rows
        ]
        if len({_identity(row) for row in less}) == len({_identity(row) for row in rows}):
            rows = less
    return list(rows)


def _identity(row: Row) -> tuple:
    return tuple((name, shown(value)) for name, value in row.names.items())


def _names(rows: Sequence[Row]) -> list[str]:
    """Names of fields, then of factors, each once."""
    fields = dict.fromkeys(name for row in rows for name in row.fields)
    return list(fields | dict.fromkeys(name for row in rows for name in row.factors))


def _places(name: str, rows: Sequence[Row]) -> dict[str, float]:
    """The place of each value of a field or factor: by size if all are numbers."""
    values = [row.names[name] for row in rows if name in row.names]
    if all(map(_is_number, values)):
        return {shown(value): value for value in values}
    return {text: place for place, text in enumerate(dict.fromkeys(map(shown, values)))}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
