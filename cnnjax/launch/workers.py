"""Commands as processes of this machine, several at a time, stopped together."""

import concurrent.futures
import dataclasses
import itertools
import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnjax.train.stops import Terminated, ending_at_once


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line, and where its output goes."""

    words: tuple[str, ...]
    """After `launch.py`."""
    name: str
    """What to call it on the terminal."""
    log: Path
    """Its output while it runs, appended."""
    kept_log: Path | None = None
    """Where the log moves when the command has ended, if that folder exists then."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables, beside those of this process."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """A command that ended with another exit code than 0."""

    command: Command
    code: int
    """128 and the signal's number, of one that a signal ended."""
    log: Path
    last_line: str
    """The last line of its log that holds words."""


def run_commands(commands: Sequence[Command], workers: int, entry_point: str) -> list[Failure]:
    """Run each command with `python ENTRY_POINT ...`, so many at a time; returns those that failed.

    The GPUs of the machine are divided among the workers. Ctrl-C and SIGTERM send SIGTERM to every
    process, so that it saves, and wait for it.

    Raises:
      ValueError: more workers than GPUs.
      KeyboardInterrupt: Ctrl-C, after every process has ended.
      Terminated: SIGTERM, after every process has ended.
    """
    shares: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    for share in _shares(workers, visible_gpus()):
        shares.put(share)
    running: set[subprocess.Popen] = set()
    stopping = False

    def one(command: Command) -> Failure | None:
        if stopping:
            return None
        share = shares.get()
        log, kept = command.log, command.kept_log
        log.parent.mkdir(parents=True, exist_ok=True)
        if kept is not None and kept.exists():
            kept.replace(log)
        print(f"Started: {command.name}", flush=True)
        with open(log, "ab") as file:
            process = subprocess.Popen(
                [sys.executable, entry_point, *command.words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **share, **command.environment},
                # Ctrl-C reaches this process alone, which then stops the others in its own way.
                start_new_session=True,
            )
        running.add(process)
        if stopping:  # since the look at the top
            process.terminate()
        returned = process.wait()
        code = returned if returned >= 0 else 128 - returned
        running.discard(process)
        shares.put(share)
        if kept is not None and kept.parent.is_dir():
            log = log.replace(kept)
        print(f"{'Finished' if code == 0 else f'Ended with code {code}'}: {command.name}")
        return None if code == 0 else Failure(command, code, log, last_line(log))

    with ending_at_once(), concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(one, command) for command in commands]
        try:
            ended = [future.result() for future in futures]
        except (KeyboardInterrupt, Terminated):
            stopping = True
            for process in list(running):
                process.terminate()
            concurrent.futures.wait(futures)
            raise
    return [failure for failure in ended if failure is not None]


def last_line(log: Path) -> str:
    """The last line of a log that holds a letter, without the frame that help is printed in."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.strip(" │\t") for line in lines if any(map(str.isalpha, line))]
    return said[-1] if said else "(it said nothing)"


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that a process started here sees, found without jax."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        named = [name.strip() for name in chosen.split(",") if name.strip()]
        # What stands behind a negative number is hidden.
        return list(itertools.takewhile(lambda name: not name.startswith("-"), named))
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    lines = listed.stdout.splitlines() if listed.returncode == 0 else []
    return [str(index) for index in range(sum(line.startswith("GPU ") for line in lines))]


def _shares(workers: int, gpus: list[str]) -> list[dict[str, str]]:
    """The environment variables by which each worker has GPUs of its own, where there are any."""
    if not gpus:
        return [{}] * workers
    if workers > len(gpus):
        raise ValueError(f"--workers must be at most {len(gpus)}, one for each GPU, got {workers}.")
    return [{"CUDA_VISIBLE_DEVICES": ",".join(gpus[n::workers])} for n in range(workers)]
