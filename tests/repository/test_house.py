"""The house: who may import whom, and no word in it of machines."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each room may import itself and those named.
LAYERS = {"layers", "ops"}
MIDDLE = {"report", "train", "data", "inspect", "symmetry", "models", *LAYERS}
ROOMS = {
    "run": {"run"},
    "ops": {"ops"},
    "layers": {"run", *LAYERS},
    "models": {"run", "models", *LAYERS},
    "symmetry": {"run", "symmetry", "ops"},
    "inspect": {"run", "inspect"},
    "data": {"run", "data", "ops"},
    "train": {"run", "train"},
    # Configurations name convolutions, and the names need no jax.
    "report": {"run", "report", "models"},
    "study": {"run", "study", *MIDDLE},
    "lectures": {"lectures", "study", *MIDDLE},
    "testing": {"run", "testing", *MIDDLE},
    "launch": {"run", "launch", "testing", "tasks", "lectures", *MIDDLE},
}
FOREIGN = {"ops": {"jax", "numpy"}}


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import."
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def wrong_imports(room: str, names: set[str]) -> set[str]:
    """Those of the modules' full names that a room may not import."""
    ours = {name for name in names if name.split(".")[0] in ("cnnjax", "experiments", "launch")}
    allowed = ROOMS[room]
    wrong = {
        name for name in ours if not (name.startswith("cnnjax.") and name.split(".")[1] in allowed)
    }
    if room == "report":
        wrong |= {n for n in ours if ".models." in n and not n.startswith("cnnjax.models.choice")}
    if room in FOREIGN:
        import sys

        foreign = {name.split(".")[0] for name in names - ours} - sys.stdlib_module_names
        wrong |= foreign - FOREIGN[room]
    return wrong


@pytest.mark.fast
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room):
    files = list((ROOT / "cnnjax" / room).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): wrong_imports(room, imports(path)) for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.fast
def test_the_rule_can_be_broken():
    assert wrong_imports("ops", {"cnnjax.layers.Conv", "flax.linen"}) == {
        "cnnjax.layers.Conv",
        "flax",
    }
    assert wrong_imports("symmetry", {"cnnjax.layers.Conv"}) == {"cnnjax.layers.Conv"}
    assert wrong_imports("train", {"experiments.equivariance"}) == {"experiments.equivariance"}


@pytest.mark.fast
def test_nothing_imports_an_experiment_and_every_room_has_a_rule():
    rooms = {path.name for path in (ROOT / "cnnjax").iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(ROOMS)
    for path in (ROOT / "experiments").glob("*.py"):
        assert not {name for name in imports(path) if name.startswith("experiments")}
