"""The entry point: which command the words of the command line name; and the small commands."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from cnnjax.launch.command_line import parse
from cnnjax.launch.exits import DONE, FAILED, INTERRUPTED, one_sentence, say
from cnnjax.launch.experiments import EXPERIMENTS, import_experiment, overview
from cnnjax.models.choice import read_options
from cnnjax.run import process
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    from cnnjax import testing
    from cnnjax.data import datasets
    from cnnjax.launch import run, several
    from cnnjax.report import compare as runs_compared, compare_page


def main(arguments: Sequence[str] | None = None, folder: Path = EXPERIMENTS) -> int:
    """Do what the command line says; returns the exit code, see `exits`.

    Args:
      arguments: the command line after `launch.py`; None takes the one of this process.
      folder: where the experiments are.

    Raises:
      SystemExit: 2, wrong input, explained on stderr; 0, help was printed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        match words:
            case [] | ["-h" | "--help", *_]:
                print(overview(folder))
            case ["prepare", *rest]:
                prepare(rest)
            case ["check", *rest]:
                return check(rest)
            case ["compare", *rest]:
                compare(rest)
            case [name, *rest]:
                with one_sentence(ValueError):
                    experiment = import_experiment(name, folder)
                with one_sentence(ValueError, FileNotFoundError):
                    invocation = parse(experiment, rest)
                if invocation.options.sweep or invocation.options.slurm:
                    return several.run_several(experiment, invocation)
                return run.run(experiment, invocation, words)
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED
    return DONE


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Download and prepare a data set, unless it is there."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """Name of the data set, such as mnist."""
    data_dir: str | None = None
    """Where data sets are kept; without it TFDS_DATA_DIR, or else the folder of TFDS."""


def prepare(arguments: list[str]) -> None:
    """Prepare a data set and print where it is."""
    with one_sentence(ValueError, OSError):
        options = tyro.cli(Prepare, prog="launch.py prepare", args=arguments)
        print(datasets.prepare(options.name, options.data_dir))


@dataclasses.dataclass(frozen=True)
class Check:
    """Check everything that a convolution must satisfy: launch.py check MODULE:CLASS|NAME
    [--conv.argument value ...]. Each property is printed as it is found, the verdict at the end."""

    only: tuple[str, ...] = ()
    """Properties to check, such as symmetry or "linear map"; without them all."""
    waive: tuple[tuple[str, str], ...] = ()
    """A property that does not matter for this convolution, and why: "linear map" "it is gated"."""


def check(arguments: list[str]) -> int:
    """Print the verdict on a convolution; returns 0 if it passed, else 1."""
    if not arguments or {"-h", "--help"} & set(arguments):
        tyro.cli(Check, prog="launch.py check", args=["--help"])
    with one_sentence(ValueError):
        (convolution, *others), rest = read_options(["--conv", *arguments], "conv")
        if others:
            raise ValueError(
                f"launch.py check takes one convolution and its --conv.argument options, not "
                f"{str(others[0])!r}."
            )
        options = tyro.cli(Check, prog="launch.py check", args=rest)
        process.configure(cache=True)
        waive = dict(options.waive)
        checks = testing.variant_checks(convolution.layer(), only=options.only, waive=waive)
    found = []
    for finding in testing.findings(checks):
        print(finding.text, flush=True)
        found.append(finding)
    verdict = testing.Verdict(str(checks[0].subject), tuple(found))
    print(verdict.headline)
    return DONE if verdict.passed else FAILED


@dataclasses.dataclass(frozen=True)
class Compare:
    """Gather the observations of finished runs into one table, with means and 95 % intervals over
    seeds: runs of equal configuration but for seeds are pooled."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR ...")]
    """Directories of finished runs, of one experiment or of several."""
    workdir: str = "runs/compare"
    """Where report.html and table.csv go; what an earlier comparison left there is replaced."""


def compare(arguments: list[str]) -> None:
    """Write the comparison that the command line describes, and print where it is."""
    with one_sentence(ValueError, OSError):
        options = tyro.cli(Compare, prog="launch.py compare", args=arguments)
        if not options.runs:
            raise ValueError("Name the directories of the runs to compare.")
        workdir = Path(options.workdir)
        if workdir.is_file() or (workdir / "config.json").exists():
            raise ValueError(f"{workdir} is a file or a run; give another --workdir.")
        runs, left_out = runs_compared.read_runs([Path(name) for name in options.runs])
        if not runs:
            raise ValueError(f"There is nothing to compare: {'; '.join(left_out)}.")
        if left_out:
            say(f"Not compared: {'; '.join(left_out)}.")
        compared = runs_compared.compare(runs)
        print(compare_page.write_comparison(runs, compared, left_out, workdir))
