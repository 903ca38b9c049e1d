"""Figures in the formats and the style that the command line asks for, of finished runs, too."""

import pytest

from cnnjax.launch.main import main

STUDY = '''"""How long are two bars?

Protocol.

    python launch.py bars
"""

import dataclasses

from cnnjax import report


@dataclasses.dataclass(frozen=True)
class Config:
    """Nothing to choose."""


def run(config, record):
    """Draw two bars."""
    drawn = report.bars({"a": {"length": 1.0}, "b": {"length": 2.0}})
    report.write_page(record, __doc__, ["Two.", report.Figure("bars", drawn, "Bars.")])
'''


@pytest.mark.fast
def test_a_finished_runs_page_is_made_again_in_another_style(tmp_path, capsys):
    (tmp_path / "bars.py").write_text(STUDY, encoding="utf-8")
    (tmp_path / "mine.mplstyle").write_text("figure.figsize: 3.5, 2\n", encoding="utf-8")
    run, figures = tmp_path / "run", tmp_path / "run" / "figures"

    def call(*words):
        try:
            return main(["bars", "--workdir", str(run), *words], tmp_path)
        except SystemExit as error:
            return error.code

    assert call() == 0
    first = (figures / "bars.png").read_bytes()
    assert [path.name for path in figures.iterdir()] == ["bars.png"]
    assert call("--resume") == 0
    assert "finished" in capsys.readouterr().out
    assert call("--resume", "--figures", "pdf", "--style", str(tmp_path / "mine.mplstyle")) == 0
    assert {path.name for path in figures.iterdir()} == {"bars.png", "bars.pdf"}
    assert (figures / "bars.png").read_bytes() != first
    assert (run / "done").exists()
    capsys.readouterr()
    assert call("--resume", "--style", "nonsense") == 2
    assert "style must be an .mplstyle file" in capsys.readouterr().err
    assert call("--figures", "gif") == 2
