"""Layers and networks as a configuration or command line names them: by name or import path.

Importing this imports no jax, so that a command line can be read and explained at once.
"""

import ast
import contextlib
import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cnnjax.run.config import from_json, perhaps_you_meant, type_name
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import flax.linen as nn

    from cnnjax import layers, models
    from cnnjax.run import imports

_constructors: dict[tuple[Any, str], functools.partial] = {}


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A choice of convolution, `Convolution("tiled", {"tile": 2})`: hashable, and plain in JSON."""

    name: str
    """A name in `cnnjax.layers.VARIANTS`, or an import path `package.module:Class`."""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments of the class: None, bool, int, float, str, and tuples of these."""

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                "`name` of a convolution must be a word such as 'tiled', or package.module:Class, "
                f"got {self.name!r}."
            )
        arguments = {key: _frozen(key, value) for key, value in sorted(self.arguments.items())}
        object.__setattr__(self, "arguments", arguments)

    def __hash__(self):
        return hash((self.name, tuple(self.arguments.items())))

    def __str__(self):
        if not self.arguments:
            return self.name
        arguments = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.name}({arguments})"

    def layer(self) -> functools.partial:
        """Constructor of the layer: its Flax module class with the chosen arguments filled in.

        Equal choices give the identical object, so that networks made with it compare and hash
        equal. An import path may also lead to a module in the current directory. A single value
        for an argument that takes only tuples becomes a tuple of one.

        Raises:
          ValueError: the name or class is unknown or no Flax module, its module cannot be imported,
            the class has no such argument, or an argument has a value of another type.
        """
        module_class = _named("convolution", self.name, layers.VARIANTS, layers.VARIANTS.get)
        arguments = _typed(self, module_class)
        constructor = functools.partial(module_class, **arguments)
        return _constructors.setdefault((module_class, repr(arguments)), constructor)


def resolve_model(name: str, **arguments: Any) -> "nn.Module":
    """The model of this name, made with these arguments.

    Args:
      name: a name that `cnnjax.models` exports, or `package.module:Class` for one of your own; a
        module in the current directory does, and so does a module that is made already.
      **arguments: arguments of the constructor; see `model_arguments` for what it takes.

    Raises:
      ValueError: the name is unknown or no Flax module, its module cannot be imported, or the model
        has no such argument or needs another.
    """
    found, takes = _model(name), model_arguments(name)
    _require_known("model", name, arguments, takes)
    needed = [key for key, required in takes.items() if required and key not in arguments]
    if needed:
        raise ValueError(
            f"The model {name!r} needs {', '.join(needed)}: give a module that has them, as "
            "package.module:name."
        )
    model = found if isinstance(found, nn.Module) else found(**arguments)
    if not isinstance(model, nn.Module):
        raise ValueError(f"The model {name!r} makes a {type(model).__name__}, no flax module.")
    return model


def model_arguments(name: str) -> dict[str, bool]:
    """The arguments that a model takes, by name, and whether each must be given.

    Raises:
      ValueError: as `resolve_model` does for the name.
    """
    found = _model(name)
    if isinstance(found, nn.Module):
        return {}
    return {
        key: parameter.default is parameter.empty
        for key, parameter in inspect.signature(found).parameters.items()
        if key not in ("parent", "name")
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def by_path(path: str, role: str, *, instances: bool = False) -> Any:
    """The Flax module class that `package.module:Class` names, also in the current directory.

    Args:
      path: `package.module:Class`.
      role: what the class is looked for as, said in errors: 'convolution', 'model'.
      instances: whether the path may lead to a module that is made already.

    Raises:
      ValueError: there is no such module or class, it is no Flax module, or it does not import.
    """
    module_name, _, name = path.partition(":")
    module = imports.module_of(path, role)

    def fits(value: Any) -> bool:
        is_class = isinstance(value, type) and issubclass(value, nn.Module)
        return is_class or (instances and isinstance(value, nn.Module))

    found = getattr(module, name, None)
    if fits(found):
        return found
    modules = [name for name, value in vars(module).items() if fits(value)]
    raise ValueError(
        f"The {role} {path!r} {'is no flax module' if hasattr(module, name) else 'does not exist'}"
        f"{perhaps_you_meant(name, modules)}: {module_name} holds the flax modules "
        f"{', '.join(modules) or '(none)'}."
    )


def read_options(arguments: Sequence[str], option: str) -> tuple[list[Convolution], list[str]]:
    """Take the convolutions out of a command line; returns them, and the arguments that are left.

    For the option `conv`: `--conv tiled --conv.tile 2 4 --conv standard` are two convolutions; an
    argument belongs to the convolution before it, one without a value is True.

    Raises:
      ValueError: `--conv` without a name, or an argument before the first `--conv`.
    """
    groups: list[list[str]] = []  # each option with the values that follow it
    for text in arguments:
        if groups and not text.startswith("--"):
            groups[-1].append(text)
        else:
            groups.append([text])
    chosen: list[tuple[str, dict[str, Any]]] = []
    rest: list[str] = []
    path = option.split(".")
    for group in groups:
        flag, *values = group[0].split("=", 1) + group[1:]
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name.split(".")[: len(path)] != path:
            rest += group
        elif name == option:
            if not values:
                raise ValueError(f"--{option} needs a name, as in --{option} tiled.")
            chosen += [(value, {}) for value in values]
        elif not chosen:
            raise ValueError(
                f"{flag} comes before any --{option}: name the convolution first, as in "
                f"--{option} tiled {flag} ..."
            )
        else:
            given = tuple(map(_literal, values)) or (True,)
            key = name.removeprefix(f"{option}.")
            chosen[-1][1][key] = given[0] if len(given) == 1 else given
    return [Convolution(name, given) for name, given in chosen], rest


def convolution_options(config_class: Any, prefix: str = "") -> dict[str, bool]:
    """The fields of a configuration that choose convolutions, and whether each takes several.

    Fields are of the type `Convolution` or `tuple[Convolution, ...]`; those of nested
    configurations are named with dots.
    """
    hints = typing.get_type_hints(config_class)
    options = {}
    for field in dataclasses.fields(config_class):
        annotation, name = hints[field.name], prefix + field.name
        if annotation is Convolution or Convolution in typing.get_args(annotation):
            options[name] = typing.get_origin(annotation) is tuple
        elif dataclasses.is_dataclass(annotation):
            options.update(convolution_options(annotation, f"{name}."))
    return options


def convolutions(config: Any) -> list[Convolution]:
    """All convolutions that a configuration holds."""
    if isinstance(config, Convolution):
        return [config]
    if dataclasses.is_dataclass(config):
        config = tuple(getattr(config, field.name) for field in dataclasses.fields(config))
    if isinstance(config, tuple):
        return [found for item in config for found in convolutions(item)]
    return []


def _model(name: str) -> Any:
    return _named("model", name, models.__all__, functools.partial(getattr, models))


def _named(role: str, name: str, names: Iterable[str], find: Callable[[str], Any]) -> Any:
    """What the import path leads to, or the one of our own that has this name."""
    if ":" in name:
        return by_path(name, role, instances=role == "model")
    if name in names:
        return find(name)
    raise ValueError(
        f"There is no {role} {name!r}{perhaps_you_meant(name, names)}: there are "
        f"{', '.join(names)}, and package.module:Class for one of your own."
    )


def _typed(convolution: Convolution, module_class: Any) -> dict[str, Any]:
    """The arguments, each of the type that the class annotates."""
    try:
        hints = typing.get_type_hints(module_class)
    except (NameError, TypeError):  # annotations that only a type checker can read
        hints = {}
    fields = (field for field in dataclasses.fields(module_class) if field.init)
    takes = {field.name: hints.get(field.name, Any) for field in fields}
    _require_known("convolution", convolution.name, convolution.arguments, takes)
    arguments = {}
    for key, value in convolution.arguments.items():
        for candidate in (value, (value,)):
            with contextlib.suppress(ValueError):
                arguments[key] = _frozen(key, from_json(takes[key], candidate))
                break
        else:
            raise ValueError(
                f"`{key}` of the convolution {convolution.name!r} must be "
                f"{type_name(takes[key])}, got {value!r}."
            )
    return arguments


def _require_known(role: str, name: str, given: Iterable[str], takes: Iterable[str]) -> None:
    takes = [key for key in takes if key not in ("parent", "name")]
    for key in given:
        if key not in takes:
            raise ValueError(
                f"The {role} {name!r} has no argument {key!r}{perhaps_you_meant(key, takes)}: it "
                f"takes {', '.join(takes) or 'none'}."
            )


def _literal(text: str) -> Any:
    """The Python value that the text spells, or else the text itself."""
    try:
        return _frozen("", ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _frozen(key: str, value: Any) -> Any:
    """The value with tuples for lists, if it is plain."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(key, item) for item in value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(
        f"`{key}` of a convolution must be None, a bool, a finite number, a str or a tuple of "
        f"these, got {value!r}."
    )
