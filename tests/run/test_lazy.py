"""Lazy imports bind modules that nothing loads before first use, and that then are the modules."""

import builtins
import importlib
import pkgutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import cnnjax
from cnnjax.run.lazy import lazy_imports

IMPORT = builtins.__import__
PACKAGES = (
    "inspect",
    "layers",
    "models",
    "ops",
    "report",
    "symmetry",
    "tasks",
    "testing",
)


def run(code: str, folder=None) -> None:
    code = textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.fast
def test_nothing_is_imported_before_its_first_use():
    run(
        """
        import sys
        from cnnjax.run.lazy import lazy_imports
        with lazy_imports():
            import colorsys
            import json.tool
            import numpy as np
            import numpy.linalg as linalg
            import xml.dom.minidom
            from cnnjax import models, ops
            from email import message
        late = {"colorsys", "json.tool", "numpy", "xml.dom.minidom", "jax", "flax",
                "cnnjax.models", "cnnjax.ops", "email.message"}
        assert not late & set(sys.modules)
        assert np.add(1, 2) == 3 and "colorsys" not in sys.modules
        assert linalg.norm([3, 4]) == 5
        import numpy
        assert numpy.linalg.norm is linalg.norm and np.add is numpy.add
        assert colorsys.hls_to_rgb and json.dumps([]) == "[]"
        assert "json.tool" not in sys.modules
        assert json.tool.main and "json.tool" in sys.modules
        assert xml.dom.minidom.parseString("<a/>").documentElement.tagName == "a"
        assert message.Message
        assert models.ConvNet and "jax" in sys.modules
        assert "hls_to_rgb" in dir(colorsys)
        """
    )


@pytest.mark.fast
def test_annotations_are_resolved_as_ever(tmp_path):
    (tmp_path / "annotated.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses\n"
        "from cnnjax.run.lazy import lazy_imports\n"
        "with lazy_imports():\n"
        "    import numpy as np\n"
        "@dataclasses.dataclass\n"
        "class Held:\n"
        "    x: np.ndarray | None = None\n"
        "def f(x: np.ndarray) -> np.random.Generator: ...\n"
    )
    run(
        f"""
        import sys, typing
        sys.path[:0] = [{str(tmp_path)!r}]
        import annotated
        assert "numpy" not in sys.modules
        hints = typing.get_type_hints(annotated.f)
        import numpy
        assert hints == {{"x": numpy.ndarray, "return": numpy.random.Generator}}
        assert typing.get_type_hints(annotated.Held) == {{"x": numpy.ndarray | None}}
        """
    )


@pytest.mark.fast
def test_a_misspelt_module_is_the_ordinary_error_on_first_use():
    with lazy_imports():
        import json.absent as absent  # ty: ignore[unresolved-import]
        import math

        import cnnjax_absent  # ty: ignore[unresolved-import]
    with pytest.raises(ModuleNotFoundError, match="No module named 'cnnjax_absent'"):
        _ = cnnjax_absent.anything
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'json\.absent'"):
        _ = absent.anything
    with pytest.raises(AttributeError, match="module 'math' has no attribute 'three'"):
        _ = math.three  # ty: ignore[unresolved-attribute]


@pytest.mark.fast
def test_what_a_test_replaces_is_replaced_where_it_is_used(monkeypatch):
    with lazy_imports():
        import colorsys
    monkeypatch.setattr(colorsys, "ONE_SIXTH", 3)
    assert colorsys.ONE_SIXTH == 3
    monkeypatch.undo()
    assert colorsys.ONE_SIXTH == 1 / 6


@pytest.mark.fast
def test_the_block_ends_also_by_an_error_and_is_of_one_module_alone():
    seen = []

    def elsewhere():
        # Its globals are another module's.
        exec("import math\nseen.append(type(math))", {"seen": seen})

    other = threading.Thread(target=elsewhere)

    def fails():
        with lazy_imports():
            other.start()
            other.join()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    import math

    assert seen == [type(math)]
    assert type(math) is type(sys)
    assert builtins.__import__ is IMPORT


@pytest.mark.fast
def test_a_package_imports_its_names_on_first_use():
    """All in one process: jax is imported once, what is ours for each package anew."""
    run(
        f"""
        import sys
        from importlib import import_module

        def import_anew(name):
            for ours in [each for each in sys.modules if each.split(".")[0] == "cnnjax"]:
                del sys.modules[ours]
            return import_module(name)

        names = [f"cnnjax.{{package}}" for package in {PACKAGES}]
        for name in names:
            package = import_anew(name)
            assert not {{"jax", "flax", "matplotlib"}} & set(sys.modules), name
            below = {{each for each in sys.modules if each.startswith(f"{{name}}.")}}
            assert not below
            assert set(package.__all__) <= set(dir(package)), name
        for name in names:
            package = import_anew(name)
            assert all(getattr(package, each) is not None for each in package.__all__), name
            exec(f"from {{name}} import *", {{}})
            try:
                package.absent
            except AttributeError as error:
                assert str(error) == f"module '{{name}}' has no attribute 'absent'"
            else:
                raise AssertionError(name)
        """
    )


@pytest.mark.fast
@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_that_of_a_submodule(package):
    """The import of the submodule would bind it in the name's place."""
    module = importlib.import_module(f"cnnjax.{package}")
    submodules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.fast
def test_every_package_that_exports_names_is_tested_here():
    root = Path(cnnjax.__file__).parent
    exporting = {
        ".".join(path.parent.relative_to(root).parts)
        for path in root.rglob("__init__.py")
        if "__all__" in path.read_text("utf-8")
    }
    assert exporting == set(PACKAGES)
