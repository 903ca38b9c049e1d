"""What a run directory holds is data: it is never executed, and it cannot reach outside."""

import ast
import json
from pathlib import Path

import pytest

import launch
from cnnjax.report.page import Code, Figure, Heading, Paragraph, Table, write_document
from cnnjax.run.cells import Cell
from cnnjax.run.record import Record
from cnnjax.run.stored import arrays_path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(ROOT / "cnnjax").rglob("*.py"),
    *(ROOT / "experiments").glob("*.py"),
    ROOT / "launch.py",
]
FORBIDDEN = {"eval", "exec", "compile", "__import__"}
PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def dangers(source):
    """Imports of picklers, calls that run text, and loads of NumPy that allow pickles."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found |= {name for name in names if name.split(".")[0] in PICKLES}
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN:
                found.add(node.func.id)
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                if keyword.arg == "allow_pickle" and value is not False:
                    found.add("allow_pickle")
    return found


@pytest.mark.fast
def test_nothing_unpickles_or_runs_text():
    assert len(SOURCES) > 50
    assert {str(path): dangers(path.read_text("utf-8")) for path in SOURCES} == {
        str(path): set() for path in SOURCES
    }
    bad = "import pickle\neval('1')\nnp.load(f, allow_pickle=True)\n"
    assert dangers(bad) == {"pickle", "eval", "allow_pickle"}


@pytest.mark.fast
def test_html_in_any_text_of_a_page_is_shown_not_run(tmp_path):
    script = "<script>alert(1)</script>"
    image = ROOT / "docs" / "gallery" / "equivariance.png"
    blocks = [
        Heading(script),
        Paragraph(script),
        Code(script),
        Table([script], [[script]], caption=script),
        Figure("figure", image, script, f'"><script>alert(1)</script>{script}'),
    ]
    page = write_document(script, blocks, tmp_path).read_text("utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 11


@pytest.mark.fast
@pytest.mark.parametrize(
    "name", ["../../outside", "/etc/outside", "a/../../b", "nul\0l", "..", ".", "", "x" * 5000]
)
def test_no_name_leaves_the_run_directory(tmp_path, name):
    record = Record(tmp_path / "run")
    (tmp_path / "run").mkdir()
    cell = Cell({"conv": name, "seed": 0})
    record.observe(cell, a=1, maps=[1.0])
    assert record.write(name, "text").read_text() == "text"
    for path in (record.checkpoints(name), arrays_path(record.directory, cell)):
        assert path.resolve().is_relative_to(tmp_path / "run")
        assert path.resolve() != tmp_path / "run"
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def stored(tmp_path):
    config = {"conv": [{"name": "wicked:Conv", "arguments": {}}]}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "wicked.py").write_text("raise SystemExit('was imported')\n", "utf-8")
    return str(tmp_path / "config.json")


@pytest.mark.fast
def test_a_stored_configuration_imports_nothing_unless_the_command_line_says_so(
    tmp_path, monkeypatch, capsys
):
    file = stored(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refused:
        launch.main(["equivariance", "--config", file])
    assert refused.value.code == 2
    assert f"{file} names wicked:Conv, whose code would be imported" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="was imported"):
        launch.main(["equivariance", "--config", file, "--conv", "wicked:Conv"])
