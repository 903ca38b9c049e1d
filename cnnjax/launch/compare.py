"""The command that gathers runs into one table."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from cnnjax.launch.exits import one_sentence, say
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    from cnnjax.report import compare as runs_compared
    from cnnjax.report import compare_page


@dataclasses.dataclass(frozen=True)
class Compare:
    """Runs in one table and figure."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN_DIR ...")]
    """Directories of finished runs, of one experiment or of several."""
    workdir: str = "runs/compare"
    """Where report.html and table.csv go; what an earlier comparison left there is replaced."""


def compare(arguments: list[str]) -> None:
    """Write the comparison that the command line describes, and print where it is."""
    with one_sentence(ValueError, OSError):
        options = tyro.cli(
            Compare,
            prog="launch.py compare",
            description="Gather the observations of finished runs into one table, with means and "
            "95 % intervals over seeds: runs of equal configuration but for seeds are pooled.",
            args=arguments,
        )
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
        rows = runs_compared.compare(runs)
        print(compare_page.write_comparison(runs, rows, left_out, workdir))
