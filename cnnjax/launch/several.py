"""Several processes of one command line: the points of a sweep, or the cells of one run."""

from pathlib import Path

from cnnjax.launch.command_line import Invocation
from cnnjax.launch.exits import DONE, FAILED, INTERRUPTED, TERMINATED, one_sentence, say
from cnnjax.launch.experiments import Experiment
from cnnjax.launch.sweep import Point, points
from cnnjax.launch.workers import Command, run_commands
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.process import Share
from cnnjax.run.record import Record
from cnnjax.train.stops import Terminated

with lazy_imports():
    from cnnjax.launch import slurm


def run_several(experiment: Experiment, invocation: Invocation) -> int:
    """Do what a command line with --sweep or --slurm says; returns the exit code.

    It is 0 if every run is finished or submitted, 1 if one failed, and 130 or 143 if Ctrl-C or
    SIGTERM stopped them.

    Raises:
      SystemExit: 2, wrong input.
    """
    with one_sentence(ValueError, OSError):
        every = points(experiment, invocation)
        left = [point for point in every if point.to_run]
        name = f"cnnjax-{experiment.name}"
        if invocation.options.dry_run:
            if invocation.options.slurm and left:
                print(*slurm.described(len(left), name, invocation.options.job), sep="\n")
            for point in every:
                command = point.command(experiment.entry_point)
                print(f"# {point.state}: {point.directory}\n{command}")
            return DONE
        for point in every:
            if not point.to_run:
                print(f"Skipped, for it is finished: {point.directory}")
        if not left:
            return DONE
        if invocation.options.slurm:
            folder = Path("runs", experiment.name, "slurm", "%j").absolute()
            jobs = slurm.submit(left, name, experiment.entry_point, folder, invocation.options.job)
            for job, point in zip(jobs, left, strict=True):
                print(f"Submitted as {job.job_id}: {point.directory}")
            print(f"Logs are in {folder}. The same command again submits what is not finished.")
            return DONE
        return _run_here(left, experiment, invocation.options.workers or 1)


def observe_in_workers(experiment: Experiment, invocation: Invocation, record: Record) -> None:
    """Observe the cells of a run in so many processes at a time, each on devices of its own.

    Each takes every n-th cell, on its share of the CPU cores or GPUs; the observations are the same
    as of one process. What they print goes to worker-K.log in the run's directory.

    Raises:
      RuntimeError: a worker failed, with the last line of its log.
      ValueError: more workers than GPUs.
      KeyboardInterrupt: Ctrl-C, after every worker has ended.
      Terminated: SIGTERM, after every worker has ended.
    """
    workers = invocation.options.workers or 1
    words = points(experiment, invocation, directory=record.directory)[0].words
    commands = [
        Command(
            words,
            f"worker {index + 1} of {workers}",
            record.directory / f"worker-{index + 1}.log",
            environment=Share(index, workers).environment(),
        )
        for index in range(workers)
    ]
    failures = run_commands(commands, workers, experiment.entry_point)
    if failures:
        first = failures[0]
        raise RuntimeError(
            f"{first.command.name} ended with code {first.code} ({first.log}): {first.last_line}"
        )


def _run_here(left: list[Point], experiment: Experiment, workers: int) -> int:
    commands = [
        Command(
            point.words,
            str(point.directory),
            point.directory.with_name(f"{point.directory.name}.log"),
            point.directory / "log.txt",
        )
        for point in left
    ]
    try:
        failures = run_commands(commands, workers, experiment.entry_point)
    except (KeyboardInterrupt, Terminated) as stopped:
        say(f"Interrupted; the same command continues, {len(left)} runs were to do.")
        return INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else TERMINATED
    if failures:
        say(f"{len(failures)} of {len(left)} runs failed:")
    for failed in failures:
        say(f"{failed.command.name} (code {failed.code}, {failed.log}): {failed.last_line}")
    return FAILED if failures else DONE
