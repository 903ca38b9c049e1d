"""Any number of finished runs as one table: rows of equal configuration pooled over seeds."""

import dataclasses
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.config import differences, read_json
from cnnjax.run.statistics import Summary

# Fields of a configuration that say which sample was drawn, or where files lie: not what was run.
_SAMPLE = ("seed", "seeds", "data_dir")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a finished run left."""

    directory: Path
    experiment: str
    """Its name, as the command line in environment.json gives it."""
    config: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    """Those of results.json, or all of it if it has none; with the numbers of timings.json."""
    environment: Mapping[str, Any]

    @property
    def seeds(self) -> tuple[Any, ...]:
        """The seeds of its configuration."""
        if "seed" in self.config:
            return (self.config["seed"],)
        return tuple(self.config.get("seeds", ()))

    @property
    def setting(self) -> str:
        """What was run, in the same words for runs that differ in seeds alone."""
        kept = {key: value for key, value in self.config.items() if key not in _SAMPLE}
        return json.dumps([self.experiment, kept], sort_keys=True)


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the comparison."""

    names: Mapping[str, str]
    """What tells it from others: differing fields of the configuration, and text in the results."""
    values: Mapping[str, Summary]
    """Its numbers over all seeds."""
    runs: tuple[Path, ...]
    """Where they come from."""


def read_runs(directories: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The finished runs among the directories, and for each other one what is wrong with it."""
    runs, left_out = [], []
    for directory in dict.fromkeys(directories):
        try:
            runs.append(_read(directory))
        except ValueError as error:
            left_out.append(str(error))
    return runs, left_out


def compare(runs: Sequence[Run]) -> list[Row]:
    """Rows of all runs; runs of equal configuration but for seeds are pooled.

    A cell of `rows` in results.json is a number of one seed, or `{mean, std, n}` of several. With
    n_i, m_i, s_i of the parts, n = sum n_i, m = sum n_i m_i / n, and
    s² = sum((n_i - 1) s_i² + n_i (m_i - m)²) / (n - 1): those of all values together.

    Raises:
      ValueError: two runs of equal configuration share a seed, which would count twice.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.setting, []).append(run)
    settings = _differing([group[0] for group in groups.values()])
    return [
        row
        for group, names in zip(groups.values(), settings, strict=True)
        for row in _pooled(group, names)
    ]


def pooled(parts: Sequence[Summary]) -> Summary:
    """Mean and deviation of all values together, from those of the parts; see `compare`."""
    n = sum(part.n for part in parts)
    mean = math.fsum(part.n * part.mean for part in parts) / n
    squares = math.fsum(
        (part.n - 1) * (part.std or 0.0) ** 2 + part.n * (part.mean - mean) ** 2 for part in parts
    )
    return Summary(mean, math.sqrt(squares / (n - 1)) if n > 1 else None, n)


def _read(directory: Path) -> Run:
    if not (directory / "config.json").is_file():
        raise ValueError(f"{directory} is no run")
    if not (directory / "done").is_file():
        raise ValueError(f"{directory} is not finished")
    results, timings, config, environment = (
        read_json(path) if (path := directory / f"{name}.json").is_file() else {}
        for name in ("results", "timings", "config", "environment")
    )
    if not all(isinstance(value, dict) for value in (results, timings, config, environment)):
        raise ValueError(f"{directory} holds files of another form")
    rows, speeds = results.get("rows", [results]), timings.get("rows", [timings])
    for name, held in (("results", rows), ("timings", speeds)):
        if not isinstance(held, list) or not all(isinstance(row, dict) for row in held):
            raise ValueError(f"{directory}/{name}.json has rows of another form")
    if len(speeds) == len(rows):
        rows = [{**row, **speed} for row, speed in zip(rows, speeds, strict=True)]
    if not any(_summary(value) for row in rows for value in row.values()):
        raise ValueError(f"{directory} has no numbers in results.json")
    command = shlex.split(str(environment.get("command", "")))
    experiment = command[2] if len(command) > 2 else directory.parent.name
    return Run(directory, experiment, config, rows, environment)


def _differing(runs: Sequence[Run]) -> list[dict[str, str]]:
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
        shown = {name: _text(values[name]) for name in fields if values.get(name) is not None}
        found.append(({"experiment": run.experiment} if named else {}) | shown)
    return found


def _pooled(group: Sequence[Run], setting: Mapping[str, str]) -> list[Row]:
    """The rows of runs that differ in seeds alone, those with the same names as one."""
    _require_disjoint(group)
    parts: dict[tuple, list[tuple[Mapping[str, Any], Path]]] = {}
    for run in group:
        seen: dict[tuple, int] = {}
        for row in run.rows:
            names = tuple(
                (key, value) for key, value in row.items() if isinstance(value, str | bool)
            )
            same = (names, row.get("seed"))
            seen[same] = seen.get(same, -1) + 1
            parts.setdefault((names, seen[same]), []).append((row, run.directory))
    found = []
    for (names, _), rows in parts.items():
        values: dict[str, list[Summary]] = {}
        for row, _ in rows:
            for key, value in row.items():
                summary = None if key in _SAMPLE else _summary(value)
                if summary is not None:
                    values.setdefault(key, []).append(summary)
        found.append(
            Row(
                {**setting, **{key: _text(value) for key, value in names}},
                {key: pooled(summaries) for key, summaries in values.items()},
                tuple(dict.fromkeys(directory for _, directory in rows)),
            )
        )
    return found


def _require_disjoint(group: Sequence[Run]) -> None:
    seen: dict[Any, Path] = {}
    for run in group:
        for seed in run.seeds:
            if seed in seen:
                raise ValueError(
                    f"{seen[seed]} and {run.directory} are runs of one configuration that share "
                    f"seed {seed}: give one of them."
                )
            seen[seed] = run.directory
    if len(group) > 1 and not seen:
        raise ValueError(
            f"{group[0].directory} and {group[1].directory} are runs of one configuration without "
            "seeds: give one of them."
        )


def _summary(value: Any) -> Summary | None:
    """A cell of the results as numbers over seeds, None if it holds something else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Summary(float(value), None, 1)
    if isinstance(value, dict) and value.keys() == {"mean", "std", "n"}:
        return Summary(value["mean"], value["std"], value["n"])
    return None


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, dict) and value.keys() == {"name", "arguments"}:  # a convolution
        arguments = ", ".join(f"{key}={item}" for key, item in value["arguments"].items())
        return f"{value['name']}({arguments})" if arguments else value["name"]
    return value if isinstance(value, str) else json.dumps(value)
