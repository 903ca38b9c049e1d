"""A finished run that loses its end, and is completed."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import launch

END = ("done", "results.json", "report.html")
"""Files that a run writes last."""
SAME = ("observations.csv", "results.json", "metrics.jsonl")
"""Files that an interrupted run must leave as an uninterrupted one does."""


@pytest.fixture
def complete_again(tmp_path, capsys) -> Callable[..., str]:
    """Function that takes the end of a copy of a run away, resumes it, and compares the files.

    `complete_again(run, words, lost)`: `run` is the directory of the finished run, `words` the
    command line that made it, without --workdir, and `lost` the numbers of the observations that
    are taken away, from 0, or from -1 backwards; the last one by default. Returns what the resumed
    run printed.
    """

    def complete(run: Path, words: Sequence[str], lost: Sequence[int] = (-1,)) -> str:
        before = {name: (run / name).read_bytes() for name in SAME}
        torn = tmp_path / "torn"
        shutil.copytree(run, torn)
        for name in END:
            (torn / name).unlink()
        head, *lines = before["observations.csv"].decode().splitlines(keepends=True)
        gone = {range(len(lines))[number] for number in lost}
        kept = [line for number, line in enumerate(lines) if number not in gone]
        (torn / "observations.csv").write_text("".join([head, *kept]), "utf-8")
        capsys.readouterr()
        arguments = [*words, "--workdir", str(torn)]
        with pytest.raises(SystemExit) as stopped:
            launch.main(arguments)
        assert stopped.value.code == 2
        assert "--resume" in capsys.readouterr().err
        assert launch.main([*arguments, "--resume"]) == 0
        assert {name: (torn / name).read_bytes() for name in SAME} == before
        return capsys.readouterr().out

    return complete
