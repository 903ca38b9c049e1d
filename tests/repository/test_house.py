"""Who may import whom, where imports stand, how many there are, and how long files may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.smallest import WORDS

ROOT = Path(__file__).resolve().parents[2]

# Each package may import itself and those named: launch -> experiments -> {tasks, report, testing}
# -> {models, train, data, symmetry, inspect} -> layers -> ops; run imports nothing of ours.
LAYERS = {"layers", "ops"}
MIDDLE = {"run", "train", "data", "inspect", "symmetry", "models", *LAYERS}
PACKAGES = {
    "run": {"run"},
    "ops": {"ops"},
    "layers": {"run", *LAYERS},
    "models": {"run", "models", *LAYERS},
    "symmetry": {"run", "symmetry", "ops"},
    "inspect": {"run", "inspect", "ops"},
    "data": {"run", "data", "ops"},
    "train": {"run", "train"},
    "tasks": {"tasks", *MIDDLE},
    "report": {"run", "report"},
    "testing": {"testing", *MIDDLE},
    "launch": {"launch", "testing", "tasks", "report", *MIDDLE},
}
FOREIGN = {"ops": {"jax", "numpy"}}

# The main study, with nothing trained; prints the modules of ours that it imports.
STUDY = """
import sys

import launch
from cnnjax.tasks import Network


def train(network, record, cell, **values):
    record.write_task(network.task.dataset.name, network.task.facts())
    record.metrics(1, network=cell.name, loss=1.0)
    return network.initial(cell["seed"])


Network.train = train
words = ["equivariance", "smoke", "--conv", "low_rank"]
assert launch.main([*words, "--workdir", *sys.argv[1:]]) == 0
ours = ("cnnjax", "experiments", "launch")
print("imported:", *sorted(name for name in sys.modules if name.split(".")[0] in ours))
"""


def imports(tree: ast.AST) -> set[str]:
    """Full names of all modules that a tree imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def wrong_imports(package: str, names: set[str]) -> set[str]:
    """Those of the modules' full names that a package may not import."""
    ours = {name for name in names if name.split(".")[0] in ("cnnjax", "experiments", "launch")}
    allowed = PACKAGES[package]
    wrong = {
        name for name in ours if not (name.startswith("cnnjax.") and name.split(".")[1] in allowed)
    }
    if package in FOREIGN:
        foreign = {name.split(".")[0] for name in names - ours} - sys.stdlib_module_names
        wrong |= foreign - FOREIGN[package]
    return wrong


def hidden_imports(path: Path) -> list[str]:
    """Modules that a file imports inside of functions."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = [node for node in ast.walk(parsed(path)) if isinstance(node, functions)]
    return sorted({name for node in inside for name in imports(node)})


@pytest.mark.fast
@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_packages_below_it(package):
    files = list((ROOT / "cnnjax" / package).rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(ROOT)): wrong_imports(package, imports(parsed(path))) for path in files
    }
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.fast
def test_the_rule_can_be_broken():
    assert wrong_imports("ops", {"cnnjax.layers.Conv", "flax.linen"}) == {
        "cnnjax.layers.Conv",
        "flax",
    }
    assert wrong_imports("symmetry", {"cnnjax.layers.Conv"}) == {"cnnjax.layers.Conv"}
    assert wrong_imports("report", {"cnnjax.symmetry.EXACT"}) == {"cnnjax.symmetry.EXACT"}
    assert wrong_imports("train", {"experiments.equivariance"}) == {"experiments.equivariance"}


@pytest.mark.fast
def test_nothing_imports_an_experiment_and_every_package_has_a_rule():
    packages = {
        path.name for path in (ROOT / "cnnjax").iterdir() if (path / "__init__.py").exists()
    }
    assert packages == set(PACKAGES)
    for path in (ROOT / "experiments").glob("*.py"):
        names = imports(parsed(path))
        assert not {name for name in names if name.startswith("experiments")}, path


@pytest.mark.fast
def test_experiments_and_tasks_import_at_their_heads():
    folders = (ROOT / "experiments", ROOT / "cnnjax" / "tasks")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > 20
    found = {str(path.relative_to(ROOT)): hidden_imports(path) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.fast
def test_a_hidden_import_is_found(tmp_path):
    file = tmp_path / "hides.py"
    file.write_text("import os\n\n\ndef f():\n    import json\n    from jax import numpy\n")
    assert hidden_imports(file) == ["jax.numpy", "json"]


@pytest.mark.fast
def test_an_experiment_is_one_file_of_at_most_300_lines():
    lengths = {
        path.name: len(path.read_text("utf-8").splitlines())
        for path in (ROOT / "experiments").glob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.mark.fast
def test_no_line_of_an_experiment_but_its_first_is_wider_than_100_columns():
    files = [*(ROOT / "experiments").rglob("*.py")]
    assert len(files) > 20
    wide = {
        f"{path.relative_to(ROOT)}:{number}": len(line)
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if number > 1 and len(line) > 100
    }
    assert wide == {}


@pytest.mark.fast
def test_nothing_but_the_configuration_lies_in_the_root_of_the_tests():
    assert {path.name for path in (ROOT / "tests").glob("*.py")} <= {"conftest.py", "__init__.py"}


def test_the_main_study_imports_at_most_80_modules_of_ours(tmp_path):
    command = [sys.executable, "-c", STUDY, str(tmp_path / "run"), *WORDS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, _, imported = done.stdout.rpartition("imported:")
    names = imported.split()
    assert {"experiments.equivariance", "cnnjax.tasks.network", "cnnjax.report.page"} <= {*names}
    assert len(names) <= 80, names
