"""The entry point: which command the words of the command line name."""

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
    from cnnjax.launch import compare, run, several


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
                compare.compare(rest)
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


def prepare(arguments: list[str]) -> None:
    """Prepare a data set and print where it is."""

    @dataclasses.dataclass(frozen=True)
    class Prepare:
        name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
        """Name of the data set, such as mnist."""
        data_dir: str | None = None
        """Where data sets are kept; without it TFDS_DATA_DIR, or else the folder of TFDS."""

    with one_sentence(ValueError, OSError):
        invocation = tyro.cli(
            Prepare,
            prog="launch.py prepare",
            description="Download and prepare a data set, unless it is there.",
            args=arguments,
        )
        print(datasets.prepare(invocation.name, invocation.data_dir))


_CHECK = """\
python launch.py check MODULE:CLASS|NAME [--conv.argument value ...]

Check everything that a convolution must satisfy, and print the verdict.
"""


def check(arguments: list[str]) -> int:
    """Print the verdict on a convolution; returns 0 if it passed, else 1."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(_CHECK, end="")
        return DONE
    with one_sentence(ValueError):
        (convolution, *others), rest = read_options(["--conv", *arguments], "conv")
        if others or rest:
            wrong = rest[0] if rest else others[0]
            raise ValueError(
                f"launch.py check takes one convolution and its --conv.argument options, not "
                f"{str(wrong)!r}."
            )
        process.configure()
        layer = convolution.layer()
        report = testing.check_variant(layer)
    print(report.text)
    return DONE if report.passed else FAILED
