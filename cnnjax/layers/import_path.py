"""A Flax module of one's own, found by its import path; importing this imports no jax."""

import importlib
import os
import sys
from typing import Any

from cnnjax.run.config import perhaps_you_meant


def by_path(path: str, role: str, *, instances: bool = False) -> Any:
    """The Flax module class that `package.module:Class` names, also in the current directory.

    Args:
      path: `package.module:Class`.
      role: what the class is looked for as, said in errors: 'convolution', 'model'.
      instances: whether the path may lead to a module that is made already.

    Raises:
      ValueError: there is no such module or class, it is no Flax module, or it does not import.
    """
    import flax.linen as nn

    module_name, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise ValueError(
                f"There is no module {missing!r} for the {role} {path!r}, neither in "
                f"{os.getcwd()} nor among the installed packages."
            ) from error
        raise ValueError(
            f"The module of the {role} {path!r} does not import: {type(error).__name__}: {error}"
        ) from error

    def fits(value: Any) -> bool:
        of_flax = isinstance(value, type) and issubclass(value, nn.Module)
        return of_flax or (instances and isinstance(value, nn.Module))

    found = getattr(module, name, None)
    if fits(found):
        return found
    modules = [name for name, value in vars(module).items() if fits(value)]
    raise ValueError(
        f"The {role} {path!r} {'is no flax module' if hasattr(module, name) else 'does not exist'}"
        f"{perhaps_you_meant(name, modules)}: {module_name} holds the flax modules "
        f"{', '.join(modules) or '(none)'}."
    )
