"""What type checkers and editors see of an editable install, and what an install brings."""

import ast
import importlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

import cnnjax
from cnnjax.run.lazy import lazy_exports

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXPORTING = sorted(
    path.parent.name for path in ROOT.glob("cnnjax/*/__init__.py") if "__all__" in path.read_text()
)

# Each line, and the words of the error that it must be; None: it must be none.
LINES = {
    "from cnnjax.layers import Conv, TiledConv": None,
    "from cnnjax.layers import Nonsense": "`cnnjax.layers` has no member `Nonsense`",
    "from cnnjax.ops import convv": "`cnnjax.ops` has no member `convv`",
    "from cnnjax import layers, models, ops, symmetry": None,
    "Conv(features=4, kernel_size=3, strides=2)": None,
    "Conv(features=4, kernel_size=3, stride=2)": "`stride` does not match any known parameter",
    "TiledConv(4, 3, tile=2)": None,
    "models.ResNet20(10, layerz=3)": "`layerz` does not match any known parameter",
    "layers.Absent": "`cnnjax.layers` has no member `Absent`",
    "symmetry.translation_lattice(abs, (1, 8, 8, 3), tolerance=1e-3)": None,
    "symmetry.translation_lattice(abs, (1, 8, 8, 3), tol=1e-3)": "`tol` does not match any known",
    "reveal_type(ops.conv_transpose)": "-> Array",
    "reveal_type(symmetry.EXACT)": "`float",
}


@pytest.fixture
def environment(tmp_path):
    """A virtual environment into which pip has put this clone, editable: a path, no import hook."""
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    (packages / "__editable__.cnnjax.pth").write_text(f"{ROOT}\n")
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return tmp_path / "env"


def test_type_checkers_see_names_and_arguments(environment, tmp_path):
    ty = shutil.which("ty") or Path(sys.executable).with_name("ty")
    if not Path(ty).exists():
        pytest.skip("ty is not installed")
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / "mine.py"
    file.write_text("\n".join(["from typing_extensions import reveal_type", *LINES, ""]))
    command = [ty, "check", "--output-format", "concise", "--python", environment, "mine.py"]
    found = subprocess.run(command, cwd=file.parent, capture_output=True, text=True)
    said = {}
    for line in found.stdout.splitlines():
        if line.startswith("mine.py:"):
            _, number, _, text = line.split(":", 3)
            said[int(number) - 2] = text
    for index, (line, words) in enumerate(LINES.items()):
        if words is None:
            assert index not in said, (line, said[index])
        else:
            assert words in said.get(index, ""), (line, found.stdout)


def test_the_package_says_that_it_is_typed_and_its_version():
    assert (ROOT / "cnnjax" / "py.typed").is_file()
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {cnnjax.__version__}\n" in citation
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "cnnjax.__version__"}


@pytest.mark.fast
@pytest.mark.parametrize("package", EXPORTING)
def test_editors_see_every_name_and_its_module(package):
    """The imports for type checkers are those that are made: `__getattr__` is hidden from them."""
    tree = ast.parse((ROOT / "cnnjax" / package / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    module = importlib.import_module(f"cnnjax.{package}")
    found = {}
    for statement in block.body:
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                assert alias.asname == alias.name  # exported, by the rules of typed packages
                found[alias.name] = getattr(importlib.import_module(statement.module), alias.name)
    for name, value in found.items():
        assert getattr(module, name) is value
    # What the package defines itself.
    defined = {"VARIANTS"} if package == "layers" else set()
    assert set(module.__all__) == {*found, *defined}
    assert set(module.__all__) <= set(dir(module))
    seen = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert "__getattr__" not in seen


@pytest.mark.fast
def test_a_package_exports_what_it_imports_for_type_checkers(tmp_path, monkeypatch):
    (tmp_path / "exporting").mkdir()
    (tmp_path / "exporting" / "inner.py").write_text("one, two, three = 1, 2, 3\n")
    (tmp_path / "exporting" / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n"
        "    from exporting.inner import one as one, two as two\n"
        "four = 4\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("exporting")
    get, names, exported = lazy_exports("exporting", "four")
    assert exported == ["four", "one", "two"]
    assert "exporting.inner" not in sys.modules
    assert (get("one"), get("two")) == (1, 2)
    assert {"one", "two", "four"} <= set(names())
    with pytest.raises(AttributeError, match="'exporting' has no attribute 'three'"):
        get("three")


def test_an_install_brings_the_library_alone(tmp_path):
    pytest.importorskip("setuptools", "77")
    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "cnnjax", source / "cnnjax", ignore=shutil.ignore_patterns("__pycache__")
    )
    (source / "experiments").mkdir()
    (source / "experiments" / "__init__.py").write_text("")
    for name in ("pyproject.toml", "README.md", "LICENSE", "launch.py"):
        shutil.copy(ROOT / name, source)
    made = {}
    for kind in ("wheel", "editable"):
        code = (
            f"from setuptools import build_meta; build_meta.build_{kind}({str(tmp_path / kind)!r})"
        )
        subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, check=True)
        (file,) = (tmp_path / kind).glob("*.whl")
        made[kind] = zipfile.ZipFile(file)
    with made["wheel"] as wheel:
        names = wheel.namelist()
        information = f"cnnjax-{cnnjax.__version__}.dist-info"
        assert {name.split("/")[0] for name in names} == {"cnnjax", information}
        assert {"cnnjax/py.typed", "cnnjax/report/page.css"} <= set(names)
    with made["editable"] as wheel:
        (path,) = [name for name in wheel.namelist() if name.endswith(".pth")]
        assert wheel.read(path).decode().strip() == str(source)
        assert not [name for name in wheel.namelist() if name.endswith(".py")]
