"""Every point of a sweep: shown, run here, or submitted to Slurm."""

from pathlib import Path

from cnnjax.launch.command_line import Asked
from cnnjax.launch.exits import DONE, FAILED, INTERRUPTED, TERMINATED, one_sentence, say
from cnnjax.launch.study import Study
from cnnjax.launch.sweep import Point, points
from cnnjax.launch.workers import Failure, run_points
from cnnjax.train.stops import Terminated


def run_several(study: Study, asked: Asked) -> int:
    """Do what a command line with --sweep or --slurm asks for; returns the exit code.

    It is 0 if every run is finished or submitted, 1 if one failed, and 130 or 143 if Ctrl-C or
    SIGTERM stopped them.

    Raises:
      SystemExit: 2, wrong input.
    """
    with one_sentence(ValueError, FileNotFoundError):
        every = points(study, asked)
        left = [point for point in every if point.to_run]
        if asked.options.dry_run:
            _show(every, study)
            return DONE
        for point in every:
            if not point.to_run:
                print(f"Skipped, for it is finished: {point.directory}")
        if not left:
            return DONE
        if asked.options.slurm:
            _submit(left, study, asked)
            return DONE
        return _run_here(left, study, asked.options.workers or 1)


def _show(every: list[Point], study: Study) -> None:
    for point in every:
        print(f"# {point.state}: {point.directory}\n{point.command(study.door)}")


def _submit(left: list[Point], study: Study, asked: Asked) -> None:
    from cnnjax.launch.slurm import submit

    folder = Path("runs", study.name, "slurm", "%j").absolute()
    jobs = submit(left, f"cnnjax-{study.name}", study.door, folder, asked.options.job)
    for job, point in zip(jobs, left, strict=True):
        print(f"Submitted as {job.job_id}: {point.directory}")
    print(f"Logs are in {folder}. The same command again submits what is not finished.")


def _run_here(left: list[Point], study: Study, workers: int) -> int:
    try:
        failures = run_points(left, workers, study.door)
    except (KeyboardInterrupt, Terminated) as stopped:
        say(f"Interrupted; the same command continues, {len(left)} runs were to do.")
        return INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else TERMINATED
    if failures:
        _list(failures, len(left))
    return FAILED if failures else DONE


def _list(failures: list[Failure], of: int) -> None:
    say(f"{len(failures)} of {of} runs failed:")
    for failure in failures:
        say(f"{failure.point.directory} (code {failure.code}, {failure.log}): {failure.last_line}")
