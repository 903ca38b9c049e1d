"""A convolution as a configuration names it: by name or import path, with its keyword arguments.

Importing this imports no jax, so that a command line can be read and explained at once; `resolve`
finds the module class, and only then is flax imported.
"""

import ast
import collections.abc
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.layers.import_path import by_path
from cnnjax.run.config import perhaps_you_meant


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A choice of convolution, `Convolution("tiled", {"tile": 2})`: hashable, and plain in JSON."""

    name: str
    """A name in `cnnjax.layers.variants.VARIANTS`, or an import path `package.module:Class`."""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Keyword arguments of the class: None, bool, int, float, str, and tuples of these."""

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                f"A convolution is named by a word such as 'tiled', not {self.name!r}."
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


def resolve(convolution: Convolution) -> functools.partial:
    """Constructor of the chosen layer: its flax module class with the chosen arguments filled in.

    An import path may also lead to a module in the current directory. A single value given to an
    argument that takes only tuples becomes a tuple of one.

    Raises:
      ValueError: the name or class is unknown or no flax module, its module cannot be imported, the
        class has no such argument, or an argument has a value of another type than it takes.
    """
    own = ":" in convolution.name
    module_class = by_path(convolution.name, "convolution") if own else _by_name(convolution)
    try:
        hints = typing.get_type_hints(module_class)
    except (NameError, TypeError):  # annotations that only a type checker can read
        hints = {}
    takes = {
        field.name: hints.get(field.name, Any)
        for field in dataclasses.fields(module_class)
        if field.init and field.name not in ("parent", "name")
    }
    arguments = {}
    for key, value in convolution.arguments.items():
        if key not in takes:
            raise ValueError(
                f"The convolution {convolution.name!r} has no argument {key!r}"
                f"{perhaps_you_meant(key, takes)}: it takes {', '.join(takes)}."
            )
        if not _fits(value, takes[key]) and _fits((value,), takes[key]):
            value = (value,)
        if not _fits(value, takes[key]):
            raise ValueError(
                f"The argument {key!r} of the convolution {convolution.name!r} takes "
                f"{_described(takes[key])}, not {value!r}."
            )
        arguments[key] = value
    return functools.partial(module_class, **arguments)


def read_options(arguments: Sequence[str], option: str) -> tuple[list[Convolution], list[str]]:
    """Take the convolutions out of a command line; returns them, and the arguments that are left.

    For the option `conv`: `--conv tiled --conv.tile 2 4 --conv standard` are two convolutions; an
    argument belongs to the convolution before it, one without a value is True.

    Raises:
      ValueError: `--conv` without a name, or an argument before the first `--conv`.
    """
    chosen: list[tuple[str, dict[str, Any]]] = []
    rest: list[str] = []
    path = option.split(".")
    for group in _options(arguments):
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
            given = tuple(_literal(text) for text in values)
            key = name.removeprefix(f"{option}.")
            chosen[-1][1][key] = True if not given else given[0] if len(given) == 1 else given
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


def _options(arguments: Sequence[str]) -> list[list[str]]:
    """Each `--option` with the values that follow it; what comes before the first stands alone."""
    groups: list[list[str]] = []
    for text in arguments:
        if text.startswith("--"):
            groups.append([text])
        elif groups:
            groups[-1].append(text)
        else:
            groups.append([text])
    return groups


def _literal(text: str) -> Any:
    """The Python value that the text spells, or else the text itself."""
    try:
        value = ast.literal_eval(text)
        return _frozen("", value)
    except (ValueError, SyntaxError):
        return text


def _frozen(key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(key, item) for item in value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(
        f"The argument {key!r} of a convolution is {value!r}; give None, a bool, a finite number, "
        "a str or a tuple of these."
    )


def _by_name(convolution: Convolution) -> Any:
    from cnnjax.layers.variants import VARIANTS

    name = convolution.name
    if name not in VARIANTS:
        raise ValueError(
            f"There is no convolution {name!r}{perhaps_you_meant(name, VARIANTS)}: there are "
            f"{', '.join(VARIANTS)}, and package.module:Class for one of your own."
        )
    return VARIANTS[name]


def _fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value is of the annotated type."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return True
    if origin is typing.Annotated:
        return _fits(value, inner[0])
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in inner)
    if origin is typing.Literal:
        return any(value == option and type(value) is type(option) for option in inner)
    if annotation in (None, types.NoneType):
        return value is None
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, tuple):
        return _tuple_fits(value, origin or annotation, inner)
    if origin is not None:
        return False
    if isinstance(annotation, type):
        try:
            return isinstance(value, annotation)
        except TypeError:  # a protocol that cannot be checked
            return False
    return True


def _tuple_fits(value: tuple, container: Any, inner: tuple) -> bool:
    if container is tuple and inner and inner[-1] is not Ellipsis:
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if container in (tuple, list, collections.abc.Sequence, collections.abc.Iterable):
        return all(_fits(item, inner[0]) for item in value) if inner else True
    return not isinstance(container, type)


def _described(annotation: Any) -> str:
    name = annotation.__name__ if type(annotation) is type else str(annotation)
    return name.replace("typing.", "").replace("collections.abc.", "")
