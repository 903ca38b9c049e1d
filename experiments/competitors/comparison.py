"""A comparison: the processes of the competitors, their results compared, their turns timed."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax import inspect

ROOT = Path(__file__).resolve().parents[2]
OURS = "cnnjax"


class CompetitorError(RuntimeError):
    """A competitor could not do what it was asked to do."""


class Worker(contextlib.AbstractContextManager):
    """The process of one competitor, which answers requests, see `competitors.worker`."""

    def __init__(self, competitor: str):
        tuned = competitor != "flax_untuned"
        settings = "from cnnjax.run import process; process.configure(); " if tuned else ""
        program = f"{settings}from experiments.competitors import worker; worker.main(sys.argv[1])"
        self.competitor = competitor
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; {program}", competitor],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=worker_environment(os.environ, tuned),
        )

    def ask(self, **request: Any) -> Any:
        """The answer to a request.

        Raises:
          CompetitorError: the competitor could not, or its process has ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        if not line:
            raise CompetitorError(f"the process of {self.competitor} has ended")
        found = json.loads(line)
        if "error" in found:
            raise CompetitorError(f"{self.competitor}: {found['error']}")
        return found["answer"]

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def workers_of(competitors: Sequence[str]) -> Generator[dict[str, Worker]]:
    """The processes of cnnjax and of those competitors that are installed, until the end."""
    with contextlib.ExitStack() as processes:
        yield {
            name: processes.enter_context(Worker(name))
            for name in (OURS, *competitors)
            if name == OURS or importlib.util.find_spec(name.split("_")[0]) is not None
        }


def worker_environment(environment: Mapping[str, str], tuned: bool) -> dict[str, str]:
    """Environment variables of a competitor's process: with cnnjax's settings, or without them."""
    found = {
        **environment,
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # the time of compilation is a result
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # GPU memory is for all processes
        "KERAS_BACKEND": "jax",
    }
    if not tuned:
        found.pop("NPROC", None)
        flags = found.get("XLA_FLAGS", "").split()
        found["XLA_FLAGS"] = " ".join(flag for flag in flags if "ynn_fusion_type" not in flag)
    return found


def measure(
    case: Mapping[str, Any],
    workers: Mapping[str, Worker],
    *,
    tolerance: float,
    seconds: float,
    busy: float = inspect.BUSY,
    **rounds: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Operations and bytes of each pass of a case, and its times.

    Results are compared before anything is timed; what is not equal to ours is not timed.

    Args:
      case: the layer and its sizes, or the network.
      workers: the processes by competitor, ours among them.
      tolerance: largest relative distance of results that count as equal.
      seconds: least length of a turn.
      busy, **rounds: as for `inspect.interleaved_turns`.

    Raises:
      CompetitorError: cnnjax itself could not.
    """
    prepared, left_out = {}, {}
    for name, worker in workers.items():
        try:
            prepared[name] = worker.ask(prepare=case)
        except CompetitorError as error:
            if name == OURS:
                raise
            left_out[name] = str(error)
    left_out |= incomparable(prepared, tolerance)
    compared = [name for name in prepared if name not in left_out]
    found: dict[str, Any] = {"left_out": left_out, "passes": {}}
    for kind, ours in prepared[OURS]["passes"].items():

        def turn(name: str, number: int, kind: str = kind) -> inspect.Turn:
            request = {"turn": kind, "number": number, "seconds": seconds}
            return inspect.Turn(**workers[name].ask(**request))

        turns = inspect.interleaved_turns(
            {name: functools.partial(turn, name) for name in compared},
            busy=busy,
            **rounds,
        )
        steps = ours.get("steps", 1)
        found["passes"][kind] = {
            name: {
                "seconds": inspect.turn_quartiles(turns[name], busy),
                "speedup": inspect.speedup_quartiles(turns[OURS], turns[name], busy),
                "same": prepared[name]["same"],
                "steps": steps,
                "compile_seconds": prepared[name]["passes"][kind].get("compile_seconds"),
                "temporary_bytes": prepared[name]["passes"][kind].get("temporary_bytes"),
                "turns": turns[name],
            }
            for name in compared
        }
    return prepared[OURS]["work"], found


def incomparable(prepared: Mapping[str, Any], tolerance: float) -> dict[str, str]:
    """The competitors that have nothing for a case or whose results differ from ours, and why."""
    found = {}
    for name, theirs in prepared.items():
        if theirs is None:
            found[name] = "has none"
        elif theirs["same"]:
            distance = largest_distance(prepared[OURS]["passes"], theirs["passes"])
            if not distance <= tolerance:  # nor is NaN
                found[name] = f"its results differ from ours by {distance:.1e}"
    return found


def largest_distance(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """Largest relative distance of results, over all passes and arrays."""
    if any(len(ours[kind]["sketches"]) != len(theirs[kind]["sketches"]) for kind in ours):
        return math.inf
    distances = [
        inspect.sketch_distance(inspect.Sketch(**our), inspect.Sketch(**their))
        for kind in ours
        for our, their in zip(ours[kind]["sketches"], theirs[kind]["sketches"], strict=True)
    ]
    return math.nan if any(map(math.isnan, distances)) else max(distances)
