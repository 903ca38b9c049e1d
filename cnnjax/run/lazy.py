"""Imports that happen on first use, so that a command line is parsed before jax is imported."""

import builtins
import importlib
import sys
import threading
import types
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
