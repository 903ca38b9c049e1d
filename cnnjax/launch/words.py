"""From a configuration back to the words of a command line."""

import ast
import dataclasses
from typing import Any

from cnnjax.models.choice import Convolution


def config_words(config: Any, start: Any, prefix: str = "") -> list[str]:
    """The options that turn the configuration `start` into this one, in the order of the fields.

    Raises:
      ValueError: a value that no option can give.
    """
    words = []
    for field in dataclasses.fields(config):
        value, before = getattr(config, field.name), getattr(start, field.name)
        name = f"{prefix}{field.name}"
        if value == before and type(value) is type(before):
            continue
        if (
            type(value) is type(before)
            and dataclasses.is_dataclass(value)
            and not isinstance(value, Convolution)
        ):
            words += config_words(value, before, f"{name}.")
        else:
            words += _words(name, value)
    return words


def _words(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    items = value if isinstance(value, tuple) else (value,)
    if items and all(isinstance(item, Convolution) for item in items):
        return [word for item in items for word in _convolution_words(option, item)]
    if isinstance(value, bool):
        parent, _, last = option.removeprefix("--").rpartition(".")
        return [option if value else f"--{parent}.no-{last}".replace("--.", "--")]
    if not all(item is None or isinstance(item, bool | int | float | str) for item in items):
        raise ValueError(f"No option gives {name} the value {value!r}.")
    return [option, *(str(item) for item in items)]


def _convolution_words(option: str, convolution: Convolution) -> list[str]:
    words = [option, convolution.name]
    for key, value in convolution.arguments.items():
        items = value if isinstance(value, tuple) and len(value) > 1 else (value,)
        words += [f"{option}.{key}", *(_text(item) for item in items)]
    return words


def _text(value: Any) -> str:
    """Text that is read as this value: a string as it is, unless it would be read as another."""
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)
