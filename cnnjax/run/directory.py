"""The directory of a run: in which state it is, and how a run begins there."""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnjax.run import files
from cnnjax.run.config import configuration_hash, differences, from_json, read_json, to_json
from cnnjax.run.environment import environment
from cnnjax.run.files import LOCK, DirectoryLock, exclusive, file_name

# Everything that a run may leave; config.json last, because it marks the directory as a run's.
CONTENTS = (
    "done",
    "results.json",
    "timings.json",
    "report.html",
    "report.md",
    "metrics.jsonl",
    "figures",
    "checkpoints",
    "networks",
    "observations.csv",
    "arrays",
    "task.json",
    LOCK,
    "environment.json",
    "config.json",
)


def run_directory(experiment: str, preset: str, hash_of_configuration: str) -> Path:
    """Where a run goes by itself: runs/EXPERIMENT/PRESET-HASH."""
    return Path("runs", file_name(experiment), file_name(f"{preset}-{hash_of_configuration}"))


def begin(
    directory: Path,
    config: Any,
    resume: bool,
    overwrite: bool,
    command: Sequence[str],
    source: Path | None,
    locks: list[DirectoryLock],
    made: list[Path],
) -> str:
    """Make the directory ready for a run; returns the state in which it is taken up.

    Folders that were not there are added to `made`, innermost first, and the lock to `locks`.
    """
    _check_state(directory, config, resume, overwrite)
    made += [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        locks.append(DirectoryLock(directory))
        return _begin_there(directory, config, resume, overwrite, command, source)
    except BaseException:
        remove_empty(made)
        raise


def _begin_there(
    directory: Path,
    config: Any,
    resume: bool,
    overwrite: bool,
    command: Sequence[str],
    source: Path | None,
) -> str:
    # Again: another process may have been at work until now.
    state = _check_state(directory, config, resume, overwrite)
    if state == "finished" and not overwrite:
        return state
    if state != "empty" and overwrite:
        remove(directory)
        state = "empty"
    for name in ("metrics.jsonl", "observations.csv"):
        files.drop_torn_line(directory / name)
    here = {**environment(command, source), "configuration": configuration_hash(config)}
    if state == "unfinished":
        earlier = read_json(directory / "environment.json")
        here["earlier_starts"] = [*earlier.pop("earlier_starts", []), earlier]
    # The configuration comes last: it marks the directory as a run's.
    try:
        for name, value in (("environment.json", here), ("config.json", to_json(config))):
            files.write(directory / name, json_bytes(value))
    except OSError:
        if state == "empty":
            remove(directory)
        raise
    return state


def _check_state(directory: Path, config: Any, resume: bool, overwrite: bool) -> str:
    state = _state(directory)
    if state == "empty" or overwrite:
        return state
    if not resume:
        run, ways = {
            "finished": (
                "A finished run",
                "replace it with --overwrite, or keep it and give another directory with --workdir",
            ),
            "unfinished": (
                "An unfinished run",
                "continue it with --resume, or replace it with --overwrite",
            ),
        }[state]
        raise FileExistsError(f"{run} is in {directory}; {ways}.")
    _require_same(directory, config)
    return state


def remove(directory: Path) -> None:
    """Remove what a run leaves, and nothing else that may lie in the directory."""
    for name in CONTENTS:
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove those of the folders, innermost first, that are there and empty."""
    for path in folders:
        with contextlib.suppress(OSError):
            path.rmdir()


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def merge_json(directory: Path, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Add to the JSON object in a file of a run; returns what it then holds."""
    file = directory / name
    with exclusive(directory):
        before = read_json(file) if file.exists() else {}
        held = dict(sorted({**before, **values}.items()))
        if held != before:
            files.write(file, json_bytes(held))
    return held


def _state(directory: Path) -> str:
    """`empty`, `finished` or `unfinished`; something that is no run is a FileExistsError."""
    if not directory.exists():
        return "empty"
    if not directory.is_dir():
        raise FileExistsError(f"{directory} is a file; give a directory with --workdir.")
    names = {path.name for path in directory.iterdir()}
    if all(
        name.startswith(".") and name.endswith(".tmp")
        for name in names - {"environment.json", LOCK}
    ):
        return "empty"  # or killed while its first files were written
    if "config.json" not in names:
        raise FileExistsError(
            f"{directory} holds files but no run; give another directory with --workdir."
        )
    return "finished" if "done" in names else "unfinished"


def _require_same(directory: Path, config: Any) -> None:
    stored = read_json(directory / "config.json")
    # What does not fit is named below. A field that is younger than the run counts as its default.
    with contextlib.suppress(ValueError):
        stored = from_json(type(config), stored) if dataclasses.is_dataclass(config) else stored
    differing = differences(stored, config)
    if differing:
        fields = [f"{name} (was {was!r}, is {now!r})" for name, (was, now) in differing.items()]
        raise ValueError(
            f"The run in {directory} cannot continue under another configuration, which differs "
            f"in {', '.join(fields)}."
        )
