"""The record of a run: what it observed, measured and wrote, in its directory."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cnnjax.run import files, hosts
from cnnjax.run.cells import SEED, Cell, announced, flat_values, grid
from cnnjax.run.config import read_json, to_json
from cnnjax.run.directory import begin, json_bytes, merge_json, remove, remove_empty
from cnnjax.run.environment import now
from cnnjax.run.files import LOCK, DirectoryLock, exclusive
from cnnjax.run.metrics import (
    EquivarianceLog,
    Tracker,
    metrics_line,
    metrics_of,
    results_of_log,
)
from cnnjax.run.observations import Observations
from cnnjax.run.process import Share, ShareObserved
from cnnjax.run.stored import TABLE, append_row, write_arrays


@dataclasses.dataclass(frozen=True)
class Record:
    """A run's directory. Files appear whole or not at all, and lines of the two that grow, too.

    Only one process of one machine can be at work there, beside its own workers; `release` ends it.
    Of many hosts only the first writes; the others call the same methods and get what it found.
    """

    directory: Path
    """Where everything is written."""
    resumed: bool = False
    """Whether an unfinished run continues here."""
    share: Share | None = None
    """The share of the cells that this process observes; None: all that are left."""
    equivariance: EquivarianceLog = EquivarianceLog()
    """What to log of equivariance while networks train."""
    figures: tuple[Literal["pdf", "svg"], ...] = ()
    """File formats of figures, beside PNG."""
    trackers: tuple[Tracker, ...] = ()
    """What takes the numbers of each line of metrics.jsonl, beside the file."""
    _lock: DirectoryLock | None = dataclasses.field(default=None, repr=False, compare=False)
    _made: list[Path] = dataclasses.field(default_factory=list, repr=False, compare=False)
    _cells: list[Cell] = dataclasses.field(default_factory=list, repr=False, compare=False)
    _observed: set[tuple] = dataclasses.field(default_factory=set, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        directory: str | Path,
        config: Any,
        *,
        resume: bool = False,
        overwrite: bool = False,
        command: Sequence[str] = (),
        source: Path | None = None,
    ) -> Record:
        """Begin a run in the directory, or continue one; writes config.json and environment.json.

        With `resume` a finished run is returned untouched: look at `finished`.

        Args:
          directory: made if it is not there.
          config: the configuration, a dataclass.
          resume: continue an unfinished run of the same configuration, if there is one.
          overwrite: remove the run that is there, finished or not.
          command: the command line, for environment.json.
          source: folder of the experiment, whose commit is recorded if git tracks its files.

        Raises:
          FileExistsError: a run is there and neither `resume` nor `overwrite` was given, or the
            directory holds something else.
          ValueError: both were given, or the run to resume has another configuration.
        """
        if resume and overwrite:
            raise ValueError("Give either --resume or --overwrite, not both.")
        directory = Path(directory)
        share = Share.of_this_process()
        if share is not None:
            # The process above has begun the run, and keeps the directory for its workers.
            return cls(directory, True, share)
        locks, made = [], []
        before = hosts.agree(
            lambda: begin(directory, config, resume, overwrite, command, source, locks, made)
        )
        return cls(directory, before != "empty", _lock=next(iter(locks), None), _made=made)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return hosts.agree(lambda: (self.directory / "done").exists())

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, in JSON values."""
        return read_json(self.directory / "config.json")

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """What `write_task` wrote: the facts of each data set that networks were trained on."""
        file = self.directory / "task.json"
        return read_json(file) if file.exists() else {}

    @property
    def task(self) -> dict[str, Any]:
        """The facts of the data set, of a run that has one.

        Raises:
          ValueError: the run has none or several.
        """
        tasks = self.tasks
        if len(tasks) != 1:
            raise ValueError(f"{self.directory} must have one task, got {sorted(tasks)}.")
        return next(iter(tasks.values()))

    def release(self) -> None:
        """Let other processes work in the directory."""
        if self._lock is not None:
            self._lock.release()

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return self.directory / "report.html"

    # Observations

    def each(self, **factors: Any) -> Iterator[Cell]:
        """The cells of a grid that have not been observed yet, in order, the seed fastest.

        Each cell is one network: train it, measure it, and `observe` it before the next. A study
        may have several grids, one after the other.

        Args:
          **factors: for each factor its values, see `cells.grid`; one must be `seed`.

        Yields:
          Cells: mappings from factors to values.

        Raises:
          ValueError: factors that make no grid.
          RuntimeError: a cell was not observed before the next one began.
        """
        cells = grid(factors)
        self._cells.extend(cells)
        held = hosts.agree(lambda: [list(map(list, key)) for key in self._rows()])
        self._observed.update(tuple(map(tuple, key)) for key in held)
        left = [
            cell
            for number, cell in enumerate(cells)
            if cell.key not in self._observed
            and (self.share is None or number % self.share.workers == self.share.index)
        ]
        for cell in announced(left, len(cells), quiet=not hosts.is_first()):
            yield cell
            if cell.key not in self._observed:
                raise RuntimeError(
                    f"record.observe must be called for each cell, got none for {cell}."
                )

    def observe(self, cell: Cell, **values: Any) -> None:
        """Add one observation: numbers to observations.csv, arrays to arrays/NAME.npz.

        Args:
          cell: of `each`.
          **values: numbers, arrays, and mappings of these, whose names are joined by dots.

        Raises:
          ValueError: a value that is neither, a number that is not finite, or a name that is a
            factor's.
        """
        numbers, arrays = flat_values(values)
        if taken := set(numbers) & set(cell):
            raise ValueError(f"an observation must not be named as a factor, got {taken.pop()!r}.")
        if hosts.is_first():
            write_arrays(self.directory, cell, arrays)
            row = {**cell, **numbers}
            with exclusive(self.directory):
                again = cell.key in self._observed
                if again or not append_row(self.directory, cell, row):
                    self._write_rows({**self._rows(), cell.key: row})
        self._observed.add(cell.key)
        hosts.agree(lambda: None)  # no process goes on before the first has written

    def observations(self) -> Observations:
        """All observations of the run, in the order of its grids.

        Raises:
          ShareObserved: this process is a worker, whose work is done.
        """
        if self.share is not None:
            raise ShareObserved
        # Workers write in the order in which they finish.
        if self._cells and hosts.is_first():
            self._write_rows(self._rows())
        return Observations.read(self.directory)

    def _rows(self) -> dict[tuple, dict[str, Any]]:
        """The rows of observations.csv by their cell's key."""
        if not (self.directory / TABLE).exists():
            return {}
        found = Observations.read(self.directory)
        return {cell.key: row for cell, row in zip(found.cells, found.rows, strict=True)}

    def _write_rows(self, rows: Mapping[tuple, Mapping[str, Any]]) -> None:
        places = {cell.key: number for number, cell in enumerate(self._cells)}
        ordered = sorted(rows, key=lambda key: places.get(key, len(places)))
        factors = dict.fromkeys(
            name for key in ordered for name in rows[key] if name in dict(key) and name != SEED
        )
        table = Observations([rows[key] for key in ordered], [*factors, SEED])
        files.write(self.directory / TABLE, table.to_csv().encode())

    # Training

    def metrics(self, step: int, **values: Any) -> None:
        """Append one line to metrics.jsonl: step, wall_time (Unix seconds), and the values.

        NaN and infinities are written as null, so that every line is JSON.
        """
        line = metrics_line(step, values)
        if hosts.is_first():
            with exclusive(self.directory):
                # On disk before the checkpoint that comes after it: no line is lost.
                files.append(self.directory / "metrics.jsonl", line)
            network = values.get("network", "")
            numbers = {name: value for name, value in values.items() if name != "network"}
            for track in self.trackers:
                track(step, network, numbers)

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl, oldest first."""
        return metrics_of(self.directory)

    def rewind(self, step: int, **values: Any) -> None:
        """Remove the metrics after this step, among the lines that hold these values.

        A run that resumes from the checkpoint of a step rewinds to it: what it then does again is
        recorded once.
        """
        values = to_json(values, "metrics")
        if hosts.is_first():
            with exclusive(self.directory):
                kept = [
                    line
                    for line in self.read_metrics()
                    if line["step"] <= step or not values.items() <= line.items()
                ]
                self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def checkpoints(self, *names: str) -> Path:
        """The folder for checkpoints, or the one in it for the training with these names."""
        return self.directory.joinpath("checkpoints", *map(files.file_name, names))

    def write_network(self, name: str, values: Mapping[str, Any]) -> None:
        """Say in networks/NAME.json which network checkpoints/NAME holds."""
        path = self.directory / "networks" / f"{files.file_name(name)}.json"
        if hosts.is_first():
            files.write(path, json_bytes({"name": name, **to_json(values, name)}))

    def write_task(self, name: str, facts: Mapping[str, Any]) -> None:
        """Say in task.json on which data networks are trained, under the data set's name."""
        plain = to_json({name: facts}, "task")
        if hosts.is_first():
            merge_json(self.directory, "task.json", plain)

    # Results

    def results(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write results.json, with logged equivariance errors; returns what it holds, as JSON.

        It holds what the configuration determines, so that a run that was interrupted leaves the
        same bytes as one that was not; what the clock says belongs to `timings`. A number that is
        not finite is a ValueError naming its place.
        """
        plain = to_json({**values, **results_of_log(self.read_metrics())}, "results")
        self.write("results.json", json.dumps(plain, allow_nan=False) + "\n")
        return plain

    def timings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add to timings.json, measured speeds and durations, and return what it holds."""
        plain = to_json(values, "timings")
        return hosts.agree(lambda: merge_json(self.directory, "timings.json", plain))

    def write(self, name: str, text: str) -> Path:
        """Write a file such as report.html; returns its path."""
        path = self.directory / files.file_name(name)
        if hosts.is_first():
            files.write(path, text.encode())
        return path

    def finish(self) -> None:
        """Mark the run as finished, and let other processes work in the directory."""
        self.write("done", now() + "\n")
        self.release()

    def discard(self) -> bool:
        """Remove a run that recorded nothing, and folders made for it; returns whether it did."""
        if self.resumed or not hosts.is_first():
            return False
        recorded = {path.name for path in self.directory.iterdir()}
        if recorded - {"config.json", "environment.json", "task.json", LOCK}:
            return False
        remove(self.directory)
        remove_empty([self.directory, *self._made])
        return True
