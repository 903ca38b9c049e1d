"""Any number of finished runs as one table: runs of equal configuration pooled over seeds."""

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
    def cells(self) -> list[dict[str, Any]]:
        """The factors of each network but for the seed."""
        names = self.found.conditions
        return [{name: row[name] for name in names if name in row} for row in self.found.rows]

    @property
    def setting(self) -> str:
        """What was run, in the same words for runs that differ in seeds alone."""
        kept = {key: value for key, value in self.config.items() if key not in _SAMPLE}
        return json.dumps([self.experiment, kept], sort_keys=True)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs as one table."""

    found: Observations
    """The networks of all runs. Factors are the fields of the configuration in which runs differ,
    the experiment's name if there are several, and the factors of the studies."""
    fields: tuple[str, ...]
    """Which of the factors are fields."""
    origin: Mapping[Any, Path]
    """The run of each network, by its cell's key."""

    @property
    def names(self) -> tuple[str, ...]:
        """Factors that tell rows apart, all if none does."""
        names = self.found.conditions
        rows = self.found.rows
        return tuple(n for n in names if len({row.get(n) for row in rows}) > 1) or names

    @property
    def swept(self) -> str | None:
        """The name of the number over which the rows are a sweep; None if they are over names.

        It is a field of the configuration, or a factor of more than two values, that is a number in
        every row; of several the one with the most values.
        """
        counts = {}
        for name in self.names:
            values = [row.get(name) for row in self.found.rows]
            least = 2 if name in self.fields else 3
            if all(map(_is_number, values)) and len(set(values)) >= least:
                counts[name] = len(set(values))
        return max(counts, key=counts.__getitem__, default=None)


def read_runs(directories: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The finished runs among the directories, and for each other one what is wrong with it."""
    runs, left_out = [], []
    for directory in dict.fromkeys(directories):
        try:
            runs.append(_read(directory))
        except (ValueError, OSError) as error:
            left_out.append(str(error).rstrip("."))
    return runs, left_out


def compare(runs: Sequence[Run]) -> Comparison:
    """The networks of all runs; those that differ in their seeds alone will be pooled.

    Rows are in the order of the values where these are numbers, else of their first appearance.

    Raises:
      ValueError: a seed of a cell is there twice, which would count twice.
    """
    fields = _differing(runs)
    names = list(dict.fromkeys(name for each in fields.values() for name in each))
    factors = list(dict.fromkeys(name for run in runs for name in run.found.factors[:-1]))
    rows, origin = [], {}
    for run in runs:
        for row in run.found.rows:
            whole = {**fields[run.setting], **row}
            key = cell_of(whole, [*names, *factors, SEED]).key
            if key in origin:
                raise ValueError(_twice(origin[key], run.directory, row[SEED]))
            origin[key] = run.directory
            rows.append(whole)
    places = [(name, _places(name, rows)) for name in dict.fromkeys([*names, *factors])]
    rows.sort(key=lambda row: [place.get(row.get(name), math.inf) for name, place in places])
    found = Observations(rows, [*(name for name, _ in places), SEED])
    return Comparison(found, tuple(names), origin)


def shown(value: Any) -> str:
    """A value of a configuration in words: `tiled(tile=2)`."""
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
    numbers = {name for run in runs for name in run.found.numbers}
    found, lists = {}, set()
    for setting, run in settings.items():
        others = [other for other in settings.values() if other.experiment == run.experiment]
        names = {name: None for other in others for name in differences(run.config, other.config)}
        values = {name: value for name, (value, _) in differences(run.config, {}).items()}
        found[setting] = {"experiment": run.experiment} if several else {}
        for name in names:
            value = values.get(name)
            if name not in _SAMPLE and value is not None:
                place = f"config.{name}" if name in numbers else name
                lists |= {place} if isinstance(value, list) else set()
                found[setting][place] = shown(value) if isinstance(value, list) else value
    return _without_lists(found, sorted(lists), settings)


def _without_lists(
    fields: dict[str, dict[str, Any]], lists: Sequence[str], runs: Mapping[str, Run]
) -> dict[str, dict[str, Any]]:
    """Without fields that list what a run compares, where factors tell the rows apart."""

    def told_apart(fields: Mapping[str, Mapping[str, Any]]) -> int:
        rows = ({**fields[setting], **row} for setting, run in runs.items() for row in run.cells)
        return len({tuple(row.items()) for row in rows})

    for name in lists:
        less = {
            setting: {key: value for key, value in each.items() if key != name}
            for setting, each in fields.items()
        }
        if told_apart(less) == told_apart(fields):
            fields = less
    return fields


def _twice(first: Path, second: Path, seed: int) -> str:
    if first == second:
        return f"{first / TABLE} has seed {seed} of one cell twice."
    runs = f"{first} and {second} are runs of one configuration"
    return f"{runs} that share seed {seed}: give one of them."


def _places(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[Any, float]:
    """The place of each value of a field or factor: by size if all are numbers."""
    values = list(dict.fromkeys(row[name] for row in rows if name in row))
    if all(map(_is_number, values)):
        return {value: value for value in values}
    return {value: place for place, value in enumerate(values)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
