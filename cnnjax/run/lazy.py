"""Imports that happen on first use, so that a command line is parsed before jax is imported."""

import ast
import builtins
import importlib
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

_one_at_a_time = threading.RLock()


class lazy_imports:
    """Context whose import statements bind modules that are imported on first use.

    with lazy_imports():
        import numpy as np
        import jax.numpy as jnp
        from cnnjax import models, report

    Modules only: `from package import Class` belongs outside. A module that does not exist is a
    ModuleNotFoundError on first use. Imports by other modules and threads are as ever.
    """

    def __enter__(self) -> None:
        _one_at_a_time.acquire()
        self.open, self.modules = True, {}
        self._importer, self._import = sys._getframe(1).f_globals, builtins.__import__
        builtins.__import__ = cast(Any, self._import_later)

    def __exit__(self, *_: object) -> None:
        builtins.__import__ = cast(Any, self._import)
        self.open = False
        _one_at_a_time.release()

    def _import_later(self, name, globals=None, locals=None, fromlist=(), level=0):
        if level or globals is not self._importer:
            return self._import(name, globals, locals, fromlist, level)
        top, *rest = name.split(".")
        leaf = self.module(top)
        for part in rest:
            leaf = getattr(leaf, part)
        return leaf if fromlist else self.module(top)

    def module(self, name: str) -> "_LazyModule":
        """What stands for the module of this full name."""
        return self.modules.setdefault(name, _LazyModule(name, self))


class _LazyModule(types.ModuleType):
    """Stands for a module, and imports it when an attribute is read outside the block."""

    def __init__(self, name: str, block: lazy_imports):
        super().__init__(name)
        self._block = block

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        if self._block.open or full in self._block.modules:
            return self._block.module(full)
        return getattr(importlib.import_module(self.__name__), name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(self.__name__))


def lazy_exports(
    package: str, *defined: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package whose names are imported on first use.

    The names are those that `from module import Name as Name` statements under `if TYPE_CHECKING:`
    in its `__init__.py` import: one list, which type checkers and editors read as well. None may be
    called as a submodule is, which Python would bind in its place.

        if TYPE_CHECKING:
            from package.module import Name as Name
        else:
            __getattr__, __dir__, __all__ = lazy_exports(__name__)

    Args:
      package: its `__name__`.
      *defined: names that the package itself defines, for `__all__`.
    """
    source = Path(str(sys.modules[package].__file__)).read_text("utf-8")
    defined_in = {
        alias.name: str(statement.module)
        for block in ast.parse(source).body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    def __getattr__(name: str) -> Any:
        if name not in defined_in:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(defined_in[name]), name)

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *defined_in})

    return __getattr__, __dir__, sorted({*defined_in, *defined})
