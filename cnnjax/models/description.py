"""A model written down in plain JSON, and made from that again."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, cast

from flax import linen

from cnnjax.models.choice import Convolution, by_path
from cnnjax.run.config import from_json, to_json


def describe_model(model: linen.Module) -> dict[str, Any] | None:
    """`{"model": "package.module:Class", "arguments": {...}}`, or None if that cannot be written.

    The arguments are those that differ from the constructor's defaults: plain values, tuples of
    them, and convolutions (a Flax class, or a `functools.partial` of one with plain arguments). Of
    a model that holds anything else, such as a function, there is no description.
    """
    try:
        arguments = {
            field.name: _described(getattr(model, field.name))
            for field in dataclasses.fields(cast(Any, model))
            if field.init and field.name not in ("parent", "name") and not _is_default(model, field)
        }
        return {"model": _path(type(model)), "arguments": arguments}
    except ValueError:
        return None


def described_model(description: Mapping[str, Any]) -> linen.Module:
    """The model of a description.

    Raises:
      ValueError: its class is not there any more, or takes other arguments now.
    """
    made = by_path(description["model"], "model")
    arguments = {key: _value(value) for key, value in description["arguments"].items()}
    try:
        return made(**arguments)
    except TypeError as error:
        raise ValueError(f"The model {description['model']!r} cannot be made: {error}.") from error


def import_paths(description: Mapping[str, Any]) -> list[str]:
    """The import paths of all classes that a description names."""
    found = [description["model"]]
    unread = list(description["arguments"].values())
    while unread:
        value = unread.pop(0)
        if isinstance(value, dict):
            found.append(value["name"])
        elif isinstance(value, list):
            unread += value
    return found


def _is_default(model: linen.Module, field: dataclasses.Field) -> bool:
    value = getattr(model, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return False
    return type(value) is type(field.default) and value == field.default


def _path(found: type) -> str:
    if "<" in found.__qualname__ or "." in found.__qualname__:
        raise ValueError(f"{found} is defined inside something else.")
    return f"{found.__module__}:{found.__qualname__}"


def _described(value: Any) -> Any:
    """A field in JSON; a convolution as a mapping of name and arguments."""
    if isinstance(value, list | tuple):
        return [_described(item) for item in value]
    if isinstance(value, type) and issubclass(value, linen.Module):
        value = functools.partial(value)
    if isinstance(value, functools.partial) and isinstance(value.func, type) and not value.args:
        return to_json(Convolution(_path(value.func), value.keywords))
    if value is None or isinstance(value, bool | int | float | str):
        return to_json(value)
    raise ValueError(f"{value!r} cannot be written down.")


def _value(described: Any) -> Any:
    if isinstance(described, Mapping):
        return from_json(Convolution, described, "convolution").layer()
    if isinstance(described, list):
        return tuple(map(_value, described))
    return described
