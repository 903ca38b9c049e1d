"""Configurations (frozen dataclasses) to JSON and back, typed; their hash and their differences."""

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """A value of a configuration that turns out to be wrong only when the data is known."""


def to_json(value: Any, where: str = "config", *, null_if_not_finite: bool = False) -> Any:
    """The value as JSON holds it: dataclasses and mappings as objects, sequences as lists.

    Args:
      value: dataclasses, mappings, sequences, NumPy and jax arrays, paths, numbers, text, None.
      where: what to call the value in a sentence about it.
      null_if_not_finite: write None for NaN and infinity, which JSON has no name for.

    Raises:
      ValueError: a number that is not finite, or something that is no data; the sentence names the
        place, beginning with `where`.
    """

    def convert(value: Any, where: str) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            if math.isfinite(value):
                return float(value)
            if null_if_not_finite:
                return None
            raise ValueError(f"{where} is {value}, and must be finite.")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {
                _text(key, where): convert(item, f"{where}.{key}") for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [convert(item, f"{where}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, Path):
            return str(value)
        if hasattr(value, "tolist"):  # arrays and scalars of NumPy and jax
            return convert(value.tolist(), where)
        raise ValueError(f"{where} is a {type(value).__name__}, which JSON cannot hold: {value!r}.")

    return convert(value, where)


def from_json(annotation: Any, value: Any, where: str = "config", default: Any = None) -> Any:
    """The value of the annotated type that `to_json` turned into this JSON value.

    Types: dataclasses, `tuple`, `list`, `dict` with `str` keys, unions, `Literal`, None, bool, int,
    float, str, `Path`, `Any`; a `Sequence` or `Iterable` is a tuple. An int stands for a float,
    never the reverse. Fields of a dataclass that are left out come from `default` (an instance), or
    else from the class.

    Raises:
      ValueError: a value of another type, or a field that the dataclass does not have or that is
        missing; the sentence names the place, beginning with `where`.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return from_json(inner[0], value, where)
    if dataclasses.is_dataclass(annotation):
        return _dataclass_from_json(annotation, value, where, default)
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(inner, value, where)
    if origin is typing.Literal:
        if any(value == option and type(value) is type(option) for option in inner):
            return value
        raise ValueError(f"{where} is {value!r}, and must be one of {', '.join(map(repr, inner))}.")
    kind = origin or annotation
    if kind in (Sequence, Iterable):
        kind, inner = tuple, (*(inner or (Any,)), ...)
    if kind in (tuple, list) and isinstance(value, list | tuple):
        return _sequence_from_json(kind, inner, value, where)
    if kind in (dict, Mapping) and isinstance(value, Mapping):
        item_type = inner[1] if inner else Any
        return {key: from_json(item_type, item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if (
        kind in (Any, object)
        or (kind in (bool, str) and isinstance(value, kind))
        or (kind in (None, types.NoneType) and value is None)
    ):
        return value
    raise ValueError(f"{where} is {value!r}, and must be of type {type_name(annotation)}.")


def load(file: str | Path, config_class: type, default: Any = None) -> Any:
    """The configuration in a JSON file, such as the `config.json` of a run.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is no JSON, or not of this class.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"There is no configuration file {file}.")
    return from_json(config_class, read_json(file), str(file), default)


def read_json(file: Path) -> Any:
    """The value in a JSON file; a ValueError that names the file if it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}.") from error


def configuration_hash(config: Any) -> str:
    """Eight hexadecimal digits (SHA-256) that name the configuration by its values.

    It does not depend on the order of fields, nor on whether a float was written as an int.
    """
    canonical = to_json(from_json(type(config), to_json(config)))
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(first: Any, second: Any) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configurations differ: `{"train.steps": (in the first, second)}`.

    Each is a configuration or its JSON value; a field that one lacks is None there.
    """
    first, second = _flat(to_json(first)), _flat(to_json(second))
    missing = object()
    return {
        name: (first.get(name), second.get(name))
        for name in {**first, **second}
        if first.get(name, missing) != second.get(name, missing)
    }


def require_distinct(config: Any, *names: str) -> None:
    """Raise ValueError unless each of these fields names at least one value, each once."""
    for name in names:
        values = getattr(config, name)
        if not values or len(set(values)) < len(values):
            listed = ", ".join(map(str, values)) or "none"
            raise ValueError(f"{name} must name at least one, each once, got {listed}.")


def require_seeds(config: Any) -> None:
    """Raise ValueError unless every `seed` and all `seeds` of a configuration are seeds."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            require_seeds(value)
        elif field.name in ("seed", "seeds"):
            for seed in value if isinstance(value, tuple) else (value,):
                if not 0 <= seed < 2**32:
                    raise ValueError(f"{field.name} must be 0 to {2**32 - 1}, got {seed}.")


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat = {}
    for key, item in value.items():
        flat.update(_flat(item, f"{prefix}.{key}" if prefix else key))
    return flat


def _text(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{where} has the key {key!r}; keys must be of type str.")
    return key


def _dataclass_from_json(annotation: Any, value: Any, where: str, default: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is {value!r}, and must be an object of named fields.")
    hints = typing.get_type_hints(annotation)
    fields = {field.name: field for field in dataclasses.fields(annotation) if field.init}
    for name in value:
        if name not in fields:
            raise ValueError(
                f"{where}.{name} is no field{perhaps_you_meant(name, fields)}: "
                f"there are {', '.join(fields)}."
            )
    given = {}
    for name, field in fields.items():
        earlier = getattr(default, name, None)
        if name in value:
            given[name] = from_json(hints[name], value[name], f"{where}.{name}", earlier)
        elif default is not None:
            given[name] = earlier
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}.{name} is missing.")
    return annotation(**given)


def _first_that_fits(options: tuple, value: Any, where: str) -> Any:
    errors = []
    for option in options:
        try:
            return from_json(option, value, where)
        except ValueError as error:
            errors.append(error)
    others = [option for option in options if option is not types.NoneType]
    if len(others) == 1:  # Optional[...]: what is wrong with the value says more than the union
        raise errors[options.index(others[0])]
    names = " | ".join(map(type_name, options))
    raise ValueError(f"{where} is {value!r}, and must be of type {names}.")


def _sequence_from_json(kind: type, inner: tuple, values: Any, where: str) -> Any:
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        if len(values) != len(inner):
            raise ValueError(f"{where} has {len(values)} entries, and must have {len(inner)}.")
        types_of_items = inner
    else:
        types_of_items = (inner[0] if inner else Any,) * len(values)
    return kind(
        from_json(item_type, value, f"{where}[{index}]")
        for index, (item_type, value) in enumerate(zip(types_of_items, values, strict=True))
    )


def type_name(annotation: Any) -> str:
    """An annotation as it is written: `int | tuple[int, ...]`."""
    name = annotation.__name__ if type(annotation) is type else str(annotation)
    return name.replace("typing.", "").replace("collections.abc.", "")


def perhaps_you_meant(name: str, names: Iterable[str]) -> str:
    """The words ` (perhaps you meant 'tiled')` if a name like this one exists, else none."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (perhaps you meant {close[0]!r})" if close else ""
