"""Modules by import path, of the installed packages or of the current directory."""

import importlib
import os
import sys
from types import ModuleType

from cnnjax.run.config import InputError


def module_of(path: str, role: str) -> ModuleType:
    """The module of `package.module:NAME`, imported.

    Args:
      path: `package.module:NAME`; the name is not looked at.
      role: what is looked for, said in errors: 'convolution', 'optimizer'.

    Raises:
      InputError: there is no such module, or it does not import.
    """
    name, _, _ = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise InputError(
                f"There is no module {missing!r} for the {role} {path!r}, neither in "
                f"{os.getcwd()} nor among the installed packages."
            ) from error
        raise InputError(
            f"The module of the {role} {path!r} does not import: {type(error).__name__}: {error}"
        ) from error
