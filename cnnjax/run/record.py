"""The record of a run: its directory, and the files that it leaves there."""

import dataclasses
import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run import files, hosts
from cnnjax.run.config import configuration_hash, differences, read_json, to_json
from cnnjax.run.environment import environment, now
from cnnjax.run.lock import DirectoryLock

# Everything that a run may leave; config.json last, because it marks the directory as a run's.
_CONTENTS = (
    "done",
    "results.json",
    "timings.json",
    "report.html",
    "report.md",
    "metrics.jsonl",
    "figures",
    "checkpoints",
    "networks",
    "parts",
    "environment.json",
    "config.json",
)


@dataclasses.dataclass(frozen=True)
class Record:
    """A run's directory. All files but metrics.jsonl appear whole or not at all.

    Only one process of one machine can be at work there; `release` ends that. Of the many processes
    of one run only the first writes; the others call the same methods and are told what it found.
    """

    directory: Path
    """Where everything is written."""
    resumed: bool = False
    """Whether an unfinished run continues here."""
    _lock: DirectoryLock | None = dataclasses.field(default=None, repr=False, compare=False)

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
    ) -> "Record":
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
        locks = []
        before = hosts.agree(
            lambda: _begin(directory, config, resume, overwrite, command, source, locks)
        )
        return cls(directory, before != "empty", *locks)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return hosts.agree(lambda: (self.directory / "done").exists())

    def release(self) -> None:
        """Let other processes work in the directory."""
        if self._lock is not None:
            self._lock.release()

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return self.directory / "report.html"

    def metrics(self, step: int, **values: Any) -> None:
        """Append one line to metrics.jsonl: step, wall_time (Unix seconds), and the values.

        NaN and infinities are written as null, so that every line is JSON.
        """
        if reserved := {"step", "wall_time"} & set(values):
            raise ValueError(f"{reserved.pop()!r} cannot be the name of a metric.")
        line = {"step": step, "wall_time": round(time.time(), 3), **values}
        text = json.dumps(to_json(line, "metrics", null_if_not_finite=True), allow_nan=False)
        if hosts.is_first():
            # On disk before the checkpoint that comes after it: no line is lost, whatever happens.
            files.append(self.directory / "metrics.jsonl", f"{text}\n".encode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl, oldest first."""
        file = self.directory / "metrics.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def rewind(self, step: int, **values: Any) -> None:
        """Forget the metrics after this step, among the lines that hold these values.

        A run that resumes from the checkpoint of a step rewinds to it: what it then does again is
        recorded once.
        """
        values = to_json(values, "metrics")
        kept = [
            line
            for line in self.read_metrics()
            if line["step"] <= step
            or any(name not in line or line[name] != value for name, value in values.items())
        ]
        self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def results(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write results.json, and return what it holds, in plain JSON values.

        It holds what the configuration determines, so that a run that was interrupted leaves the
        same bytes as one that was not; what the clock says belongs to `timings`. A number that is
        not finite is a ValueError naming its place.
        """
        plain = to_json(values, "results")
        self.write("results.json", json.dumps(plain, allow_nan=False) + "\n")
        return plain

    def timings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Add to timings.json, measured speeds and durations, and return what it holds."""
        file, plain = self.directory / "timings.json", to_json(values, "timings")
        held = hosts.agree(lambda: {**(read_json(file) if file.exists() else {}), **plain})
        self._write_json("timings.json", held)
        return held

    def part(self, name: str) -> dict[str, Any] | None:
        """What `write_part` kept under this name, so that it need not be done again, or None."""
        path = self._part_path(name)
        return hosts.agree(
            lambda: json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        )

    def write_part(self, name: str, values: Mapping[str, Any]) -> None:
        """Keep a finished part of the results in parts/NAME.json; every number must be finite."""
        text = json.dumps(to_json(values, name), allow_nan=False)
        if hosts.is_first():
            files.write(self._part_path(name), text.encode())

    def _part_path(self, name: str) -> Path:
        return self.directory / "parts" / f"{_file_name(name)}.json"

    def write(self, name: str, text: str) -> Path:
        """Write a file such as report.html; returns its path."""
        path = self.directory / _file_name(name)
        if hosts.is_first():
            files.write(path, text.encode())
        return path

    def figure(self, name: str, figure: Any) -> Path:
        """Save a matplotlib figure as figures/NAME.png; returns its path."""
        path = self.figure_path(name)
        if hosts.is_first():
            with files.replacing(path) as temporary:
                figure.savefig(temporary, format="png")
        return path

    def figure_path(self, name: str) -> Path:
        """The path figures/NAME.png, its folder made."""
        folder = self.directory / "figures"
        if hosts.is_first():
            folder.mkdir(exist_ok=True)
        return folder / f"{_file_name(name)}.png"

    def checkpoints(self, *names: str) -> Path:
        """The folder for checkpoints, or the one in it for the training with these names."""
        return self.directory.joinpath("checkpoints", *map(_file_name, names))

    def write_network(self, name: str, values: Mapping[str, Any]) -> None:
        """Say in networks/NAME.json which network checkpoints/NAME holds."""
        path = self.directory / "networks" / f"{_file_name(name)}.json"
        if hosts.is_first():
            files.write(path, _json({"name": name, **to_json(values, name)}))

    def finish(self) -> None:
        """Mark the run as finished, and let other processes work in the directory."""
        self.write("done", now() + "\n")
        self.release()

    def discard(self) -> bool:
        """Remove a run that ended before it recorded anything; returns whether it did."""
        if self.resumed or not hosts.is_first():
            return False
        if {path.name for path in self.directory.iterdir()} - {"config.json", "environment.json"}:
            return False
        _remove(self.directory)
        self.directory.rmdir()
        return True

    def _write_json(self, name: str, value: Any) -> None:
        self.write(name, _json(value).decode())


def run_directory(experiment: str, preset: str, hash_of_configuration: str) -> Path:
    """Where a run goes by itself: runs/EXPERIMENT/PRESET-HASH."""
    return Path("runs", _file_name(experiment), _file_name(f"{preset}-{hash_of_configuration}"))


def _begin(
    directory: Path,
    config: Any,
    resume: bool,
    overwrite: bool,
    command: Sequence[str],
    source: Path | None,
    locks: list[DirectoryLock],
) -> str:
    """Make the directory ready for a run; returns the state in which it is taken up."""
    _check_state(directory, config, resume, overwrite)
    directory.mkdir(parents=True, exist_ok=True)
    locks.append(DirectoryLock(directory))
    # Again: another process may have been at work until now.
    state = _check_state(directory, config, resume, overwrite)
    if state == "finished" and not overwrite:
        return state
    if state != "empty" and overwrite:
        _remove(directory)
        state = "empty"
    _drop_torn_metrics(directory)
    here = {**environment(command, source), "configuration": configuration_hash(config)}
    if state == "unfinished":
        earlier = read_json(directory / "environment.json")
        here["earlier_starts"] = [*earlier.pop("earlier_starts", []), earlier]
    # The configuration comes last: it marks the directory as a run's.
    for name, value in (("environment.json", here), ("config.json", to_json(config))):
        files.write(directory / name, _json(value))
    return state


def _check_state(directory: Path, config: Any, resume: bool, overwrite: bool) -> str:
    state = _state(directory)
    if state == "empty" or overwrite:
        return state
    if not resume:
        raise FileExistsError(_already_there(directory, state))
    _require_same(directory, config)
    return state


def _drop_torn_metrics(directory: Path) -> None:
    """A process killed while it wrote leaves half a line at the end."""
    file = directory / "metrics.jsonl"
    if file.exists() and not (text := file.read_bytes()).endswith(b"\n"):
        files.write(file, text[: text.rfind(b"\n") + 1])


def _remove(directory: Path) -> None:
    """Remove what a run leaves, and nothing else that may lie in the directory."""
    for name in _CONTENTS:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def _state(directory: Path) -> str:
    """`empty`, `finished` or `unfinished`; something that is no run is a FileExistsError."""
    if not directory.exists():
        return "empty"
    if not directory.is_dir():
        raise FileExistsError(f"{directory} is a file; give a directory with --workdir.")
    names = {path.name for path in directory.iterdir()}
    if all(name.startswith(".") and name.endswith(".tmp") for name in names - {"environment.json"}):
        return "empty"  # or killed while its first files were written
    if "config.json" not in names:
        raise FileExistsError(
            f"{directory} holds files but no run; give another directory with --workdir."
        )
    return "finished" if "done" in names else "unfinished"


def _already_there(directory: Path, state: str) -> str:
    if state == "finished":
        return (
            f"A finished run is in {directory}; replace it with --overwrite, or keep it and give "
            "another directory with --workdir."
        )
    return (
        f"An unfinished run is in {directory}; continue it with --resume, or replace it with "
        "--overwrite."
    )


def _require_same(directory: Path, config: Any) -> None:
    differing = differences(read_json(directory / "config.json"), config)
    if differing:
        fields = ", ".join(
            f"{name} (was {before!r}, is {now!r})" for name, (before, now) in differing.items()
        )
        raise ValueError(
            f"The run in {directory} cannot continue under another configuration, which differs "
            f"in {fields}."
        )


def _file_name(name: str) -> str:
    """The name itself if it is safe as one, else a safe one that no other name gets."""
    if re.fullmatch(r"\w[\w.-]{0,99}", name, re.ASCII):
        return name
    safe = re.sub(r"[^\w-]+", "_", name, flags=re.ASCII).strip("_")[:80]
    return f"{safe or '_'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
