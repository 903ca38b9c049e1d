"""A model as a configuration names it: by its name in `cnnjax.models`, or by import path."""

import inspect
from collections.abc import Callable
from typing import Any

from flax import linen

from cnnjax import models
from cnnjax.layers.import_path import by_path
from cnnjax.run.config import perhaps_you_meant


def resolve_model(name: str, **arguments: Any) -> linen.Module:
    """The model of this name, made with these arguments.

    Args:
      name: a name that `cnnjax.models` exports, or `package.module:Class` for one of your own; a
        module in the current directory does, and so does a module that is made already.
      **arguments: of the constructor; see `model_arguments` for what it takes.

    Raises:
      ValueError: the name is unknown or no Flax module, its module cannot be imported, or the model
        has no such argument or needs another.
    """
    found = _found(name)
    takes = model_arguments(name)
    for key in arguments:
        if key not in takes:
            raise ValueError(
                f"The model {name!r} has no argument {key!r}{perhaps_you_meant(key, takes)}: it "
                f"takes {', '.join(takes) or 'none'}."
            )
    needed = [key for key, required in takes.items() if required and key not in arguments]
    if needed:
        raise ValueError(
            f"The model {name!r} needs {', '.join(needed)}: give a module that has them, as "
            "package.module:name."
        )
    model = found if isinstance(found, linen.Module) else found(**arguments)
    if not isinstance(model, linen.Module):
        raise ValueError(f"The model {name!r} makes a {type(model).__name__}, no flax module.")
    return model


def model_arguments(name: str) -> dict[str, bool]:
    """The arguments that a model takes, by name, and whether each must be given.

    Raises:
      ValueError: as `resolve_model` does for the name.
    """
    found = _found(name)
    if isinstance(found, linen.Module):
        return {}
    return {
        key: parameter.default is parameter.empty
        for key, parameter in inspect.signature(found).parameters.items()
        if key not in ("parent", "name")
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _found(name: str) -> linen.Module | Callable[..., Any]:
    if ":" in name:
        return by_path(name, "model", instances=True)
    if name not in models.__all__:
        raise ValueError(
            f"There is no model {name!r}{perhaps_you_meant(name, models.__all__)}: there are "
            f"{', '.join(models.__all__)}, and package.module:Class for one of your own."
        )
    return getattr(models, name)
