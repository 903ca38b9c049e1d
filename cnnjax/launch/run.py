"""One run, here: its directory, its experiment, and how it ends."""

import contextlib
import dataclasses
import os
import re
import shlex
import sys
from pathlib import Path

from cnnjax.launch.command_line import Invocation, directory_of
from cnnjax.launch.exits import (
    DIVERGED,
    DONE,
    FAILED,
    INTERRUPTED,
    TERMINATED,
    exhausted,
    one_sentence,
    say,
    sentence,
)
from cnnjax.launch.experiments import Experiment
from cnnjax.models.choice import convolutions
from cnnjax.run import hosts, process
from cnnjax.run.config import InputError, read_json
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.process import Share, ShareObserved
from cnnjax.run.record import Record
from cnnjax.train import stops

with lazy_imports():
    from cnnjax import report
    from cnnjax.launch import several
    from cnnjax.run import trackers


def run(experiment: Experiment, invocation: Invocation, arguments: list[str]) -> int:
    """Run the experiment in this process; returns the exit code, see `exits`.

    Args:
      experiment: the experiment.
      invocation: what the command line says.
      arguments: the command line after `launch.py`, for environment.json.

    Raises:
      SystemExit: 2, wrong input.
    """
    distributed = invocation.options.distributed
    # Other processes raise RuntimeError when process 0 fails.
    failed = (RuntimeError,) if distributed else ()
    # Of several processes jax tells all when one gets SIGTERM, if nothing else listens.
    with contextlib.ExitStack() as settings:
        if not distributed:
            settings.enter_context(stops.ending_at_once())
        with one_sentence(ValueError, OSError, *failed):
            _prepare_process(invocation)
            style = invocation.options.style
            if style is not None:
                settings.enter_context(report.drawn_with(style))
            record = _open(experiment, invocation, arguments)
        try:
            if record.finished and style is None and not record.figures:
                print(f"This run is finished: {record.directory}")
                return DONE
            begins = "Continuing" if record.resumed else "Running"
            print(f"{begins} in {record.directory}", flush=True)
            if names := invocation.options.track:
                tracking = trackers.tracking(names, record.directory, record.config)
                record = dataclasses.replace(record, trackers=settings.enter_context(tracking))
            return _carry_out(experiment, invocation, record)
        finally:
            record.release()


def _carry_out(experiment: Experiment, invocation: Invocation, record: Record) -> int:
    """Run the experiment in its directory, and say in one line what ended it before its time."""
    try:
        with one_sentence(FileNotFoundError, FileExistsError, InputError):
            if record.share is None and (invocation.options.workers or 1) > 1:
                several.observe_in_workers(experiment, invocation, record)
            experiment.module.run(invocation.config, record)
    except ShareObserved:
        return DONE
    except BaseException as error:
        way_on = "" if record.discard() else f"; --resume continues {record.directory}"
        if isinstance(error, KeyboardInterrupt):
            print(file=sys.stderr)  # after the ^C of the terminal
            say(f"Interrupted{way_on}.")
            return INTERRUPTED
        if isinstance(error, stops.Terminated):
            say(f"Terminated{way_on}.")
            return TERMINATED
        if isinstance(error, stops.Diverged):
            say(sentence(error))
            return DIVERGED
        if (what := exhausted(error)) is not None:
            say(f"{what}{way_on}.")
            return FAILED
        raise
    record.finish()
    print(record.report if record.report.exists() else record.directory)
    return DONE


def _prepare_process(invocation: Invocation) -> None:
    """Settings that precede the first use of jax, the other processes, and what is imported."""
    options = invocation.options
    _require_devices(options.devices)
    share = Share.of_this_process()
    if share is not None:
        share.take_cores()
    process.configure(options.devices, deterministic=options.deterministic, cache=options.cache)
    if options.distributed:
        print(hosts.initialize(options.coordinator, options.processes, options.process), flush=True)
    for convolution in convolutions(invocation.config):
        convolution.layer()


def _open(experiment: Experiment, invocation: Invocation, arguments: list[str]) -> Record:
    options = invocation.options
    directory = directory_of(experiment, invocation, invocation.config)
    if options.track:
        trackers.require_packages(options.track)
    if options.equivariance.every and experiment.replaces_earlier_run:
        raise ValueError(
            f"--equivariance.every is of experiments that train networks, which {experiment.name} "
            "does not."
        )
    record = Record.open(
        directory,
        invocation.config,
        resume=options.resume,
        overwrite=options.overwrite or (not options.resume and _replaces(experiment, directory)),
        command=["python", "launch.py", *arguments],
        source=experiment.folder,
    )
    return dataclasses.replace(record, equivariance=options.equivariance, figures=options.figures)


def _require_devices(devices: int | None) -> None:
    """The environment is the user's: what it says is never overruled, and never in silence."""
    said = re.search(
        r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", "")
    )
    if devices is not None and said is not None and int(said[1]) != devices:
        raise ValueError(
            f"--devices is {devices}, but XLA_FLAGS asks for {said[1]} virtual devices: take one "
            "of them away."
        )


def _replaces(experiment: Experiment, directory: Path) -> bool:
    """Whether the directory holds a run of this experiment, whose runs replace one another."""
    file = directory / "environment.json"
    if not experiment.replaces_earlier_run or not file.is_file():
        return False
    return shlex.split(read_json(file).get("command", ""))[2:3] == [experiment.name]
