"""The command that gathers runs into one table."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from cnnjax.launch.exits import one_sentence, say


@dataclasses.dataclass(frozen=True)
class Compare:
    """Runs in one table and figure."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR ...")]
    """Directories of finished runs, of one experiment or of several."""
    workdir: str = "runs/compare"
    """Where report.html and table.csv go; what an earlier comparison left there is replaced."""


def compare(arguments: list[str]) -> None:
    """Write the comparison that the command line asks for, and print where it is."""
    with one_sentence(ValueError, OSError):
        asked = tyro.cli(
            Compare,
            prog="launch.py compare",
            description="Gather finished runs into one table, with means and 95 % intervals over seeds: runs "
            "of equal configuration but for seeds are pooled.",
            args=arguments,
        )
        from cnnjax.report import compare
        from cnnjax.report.compare_page import write_comparison

        if not asked.runs:
            raise ValueError("Name the directories of the runs to compare.")
        workdir = Path(asked.workdir)
        if workdir.is_file() or (workdir / "config.json").exists():
            raise ValueError(f"{workdir} is a file or a run; give another --workdir.")
        runs, left_out = compare.read_runs([Path(name) for name in asked.runs])
        if not runs:
            raise ValueError(f"There is nothing to compare: {'; '.join(left_out)}.")
        if left_out:
            say(f"Not compared: {'; '.join(left_out)}.")
        print(write_comparison(runs, compare.compare(runs), left_out, workdir))
