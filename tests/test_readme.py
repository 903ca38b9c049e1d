"""Every command and program of the README does what it says."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", README)


# The set-up's two commands are those that continuous integration runs first.
COMMANDS = [line for block in blocks("bash")[2:] for line in block.splitlines()]


def arguments_of(command: str) -> list[str]:
    program, script, *arguments = shlex.split(command)
    assert (program, script) == ("python", "launch.py")
    return arguments


@pytest.mark.fast
def test_the_set_up_is_two_commands():
    assert [len(block.splitlines()) for block in blocks("bash")[:2]] == [1, 1]
    assert len(COMMANDS) >= 8


@pytest.mark.fast
@pytest.mark.parametrize("command", [c for c in COMMANDS if " equivariance" in c and "-h" not in c])
def test_commands_parse(command):
    from experiments import equivariance

    _, _, config = launch.parse(equivariance, arguments_of(command)[1:])
    assert isinstance(config, equivariance.Config)


@pytest.mark.fast
def test_overview_lists_the_experiments(capsys):
    assert launch.main([]) == 0
    assert "equivariance" in capsys.readouterr().out


def run(command: str, folder: Path) -> str:
    """Run a command of the README in a folder of its own, on one device as a user would."""
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *arguments_of(command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_explains_every_field(tmp_path):
    (command,) = [c for c in COMMANDS if c.endswith("--help")]
    said = run(command, tmp_path)
    for option in ("--conv", "--seeds", "--data-dir", "--train.learning-rate", "--resume"):
        assert option in said
    assert "smoke" in said
    assert "full" in said


def test_a_convolution_of_your_own(tmp_path):
    """The README's file, and the lattice that it claims, measured."""
    import json

    (source,) = re.findall(r"(?ms)^<!-- my_conv.py -->\n```python\n(.*?)^```", README)
    (tmp_path / "my_conv.py").write_text(source, encoding="utf-8")
    (command,) = [c for c in COMMANDS if "my_conv" in c]
    report = Path(run(command, tmp_path).splitlines()[-1])
    results = json.loads((tmp_path / report).with_name("results.json").read_text("utf-8"))
    first = results["rows"][0]["layers"][0]
    assert first["predicted_lattice"] == first["measured_lattice"] == [1, 2]
    assert first["error_off_lattice"] > 0.1


def test_chosen_convolutions_and_resume(tmp_path):
    first, second = [c for c in COMMANDS if "--workdir" in c]
    assert second == f"{first} --resume"
    run(first, tmp_path)
    report = (tmp_path / "runs" / "mine" / "report.md").read_text("utf-8")
    assert "tiled(tile=2)" in report
    assert "local" in report
    assert "finished" in run(second, tmp_path)


def test_the_program_that_measures_prints_what_the_readme_says(capsys):
    (program,) = [block for block in blocks("python") if "translation_lattice" in block]
    exec(compile(program, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == program.rstrip().rpartition("# ")[2]


@pytest.mark.fast
def test_the_table_is_made_from_the_committed_results():
    import importlib.util
    import json

    path = ROOT / "results" / "equivariance" / "table.py"
    spec = importlib.util.spec_from_file_location("results_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    results = json.loads(path.with_name("digits.json").read_text("utf-8"))
    (shown,) = re.findall(r"(?ms)<!-- table -->\n(.*?)<!-- /table -->", README)
    assert shown.strip() == module.table(results).strip()
    assert {
        tuple(layer["predicted_lattice"]) == tuple(layer["measured_lattice"])
        for row in results["rows"]
        for layer in row["layers"]
    } == {True}
