"""Runs as jobs of Slurm, by submitit: an array, queued again when preempted or out of time."""

import contextlib
import dataclasses
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnjax.launch.options import Slurm
from cnnjax.launch.sweep import Point
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import submitit
    from submitit import helpers
    from submitit.core import utils

# A run may need many allocations; it is the one who submits it that decides when to give up.
_MOST_TIMEOUTS = 1000
_SECONDS_TO_SAVE = 60


@dataclasses.dataclass
class Job:
    """A run as submitit keeps it: the command continues where an earlier one of it stopped."""

    words: tuple[str, ...]
    """The command line after `python`."""
    folder: str
    """Where it is run."""

    def __call__(self) -> None:
        """Run the command to its end; a RuntimeError that names its exit code if it failed."""
        again = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"
        words = _continuing(self.words) if again else self.words
        # Slurm warns every process of the job by SIGUSR2; submitit waits for it here, and it would
        # end the run: what is ignored at its start it ignores too.
        before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        self.process = subprocess.Popen([sys.executable, *words], cwd=self.folder)
        signal.signal(signal.SIGUSR2, before or signal.SIG_DFL)
        code = self.process.wait()
        if code != 0:
            raise RuntimeError(f"{' '.join(self.words)} ended with exit code {code}.")

    def checkpoint(self) -> Any:
        """Called by submitit before the time is over: the run saves, and is submitted again."""
        self.process.terminate()
        end = time.monotonic() + _SECONDS_TO_SAVE
        # Popen.wait holds a lock where this handler has interrupted it; the system's own does not.
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < end and not os.waitid(
                os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
            ):
                time.sleep(0.1)
        return helpers.DelayedSubmission(Job(_continuing(self.words), self.folder))


def submit(
    points: Sequence[Point], name: str, entry_point: str, folder: Path, job: Slurm
) -> list[Any]:
    """Submit every point as one array; returns submitit's jobs.

    Args:
      points: the runs.
      name: of the array.
      entry_point: the launch.py that runs them.
      folder: where submitit keeps its job files and logs, apart from the runs' directories. What
        it keeps there are pickles that its own jobs load: nobody else should write there.
      job: what to ask Slurm for.

    Raises:
      ValueError: submitit or Slurm is missing, or refuses the job.
    """
    try:
        executor = submitit.AutoExecutor(
            folder, cluster=job.cluster, slurm_max_num_timeout=_MOST_TIMEOUTS
        )
        executor.update_parameters(**_parameters(name, job))
        with executor.batch():
            return [
                executor.submit(Job((entry_point, *point.words), os.getcwd())) for point in points
            ]
    except ImportError:
        raise ValueError("--slurm needs submitit, which `pip install submitit` installs.") from None
    except (RuntimeError, utils.FailedJobError) as error:
        raise ValueError(f"Slurm took no job: {error}") from error


def described(count: int, name: str, job: Slurm) -> list[str]:
    """What Slurm is asked for, as the lines of the script that `submit` gives it.

    Args:
      count: number of runs.
      name: of the array.
      job: what to ask Slurm for.
    """
    if job.cluster == "local":
        return [f"# {count} processes of this machine, {job.minutes} minutes each at most"]
    asked: dict[str, Any] = {
        "job-name": name,
        "partition": job.partition,
        "account": job.account,
        "time": job.minutes,
        "nodes": job.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": job.gpus,
        "cpus-per-task": job.cpus,
        "array": f"0-{count - 1}%{min(count, job.at_once)}" if count > 1 else None,
    }
    lines = [
        f"#SBATCH --{option}={shlex.quote(str(value))}"
        for option, value in asked.items()
        if value is not None
    ]
    return [*lines, "#SBATCH --requeue"]


def _parameters(name: str, job: Slurm) -> dict[str, Any]:
    """Submitit's names for what the job asks for: one process on each node drives all its GPUs."""
    chosen = {"partition": job.partition, "account": job.account}
    return {
        "name": name,
        "timeout_min": job.minutes,
        "nodes": job.nodes,
        "tasks_per_node": 1,
        "gpus_per_node": job.gpus,
        "cpus_per_task": job.cpus,
        "slurm_array_parallelism": job.at_once,
        "slurm_additional_parameters": {"requeue": True},
        **{f"slurm_{key}": value for key, value in chosen.items() if value is not None},
    }


def _continuing(words: tuple[str, ...]) -> tuple[str, ...]:
    """The command that goes on where the run is, even if at first it was to begin anew."""
    return tuple("--resume" if word == "--overwrite" else word for word in words)
