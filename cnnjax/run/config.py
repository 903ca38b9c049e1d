"""Configurations (frozen dataclasses) to JSON and back, typed; their hash and their differences."""

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar


class InputError(ValueError):
    """Input that turns out to be wrong only in a run: a file, or a value that the data refuses."""


@dataclasses.dataclass(frozen=True)
class Requirement:
    """What the values of an annotated field must satisfy: `Annotated[int, Requirement(...)]`."""

    holds: Callable[[Any], bool]
    """Whether a value satisfies it."""
    words: str
    """Completes the sentence "`name` must be ..."."""


def at_least(least: float) -> Requirement:
    """The requirement of a number that is not below `least`."""
    return Requirement(lambda value: value >= least, f"at least {least}")


def between(low: float, high: float) -> Requirement:
    """The requirement of a number from `low`, included, to `high`, excluded."""
    return Requirement(lambda value: low <= value < high, f"at least {low} and below {high}")


_Item = TypeVar("_Item")
_PLAIN = (bool, int, float, str, Path, types.NoneType, object)

Positive = Annotated[int, at_least(1)]
Counted = Annotated[int, at_least(0)]
Fraction = Annotated[float, between(0, 1)]
Seed = Annotated[
    int, Requirement(lambda value: 0 <= value < 2**32, f"at least 0 and at most {2**32 - 1}")
]
Distinct = Annotated[
    tuple[_Item, ...],
    Requirement(lambda values: 0 < len(values) == len(set(values)), "at least one, each once"),
]


class CheckedConfig:
    """A configuration, a dataclass, whose annotations say what its values must be, see `from_json`.

    Raises:
      ValueError: a value that is not what its annotation says, with the field's name.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self), include_extras=True)
        for field in dataclasses.fields(typing.cast(Any, self)):
            from_json(hints[field.name], getattr(self, field.name), field.name)


@dataclasses.dataclass(frozen=True)
class StudyConfig(CheckedConfig):
    """The fields that every study on a data set has."""

    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Directory of prepared data sets; by default TFDS_DATA_DIR, or else that of TFDS."""
    seeds: Distinct[Seed] = (0, 1, 2)
    """Seeds; for each a network is trained in every condition."""


def require_layers(config: Any) -> None:
    """Raise ValueError unless `features` and `strides` of a configuration name the same layers."""
    if not config.features or len(config.features) != len(config.strides):
        raise ValueError(
            f"features and strides must have one entry for each layer, got {config.features} and "
            f"{config.strides}."
        )


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
            raise ValueError(f"{where} must be finite, got {value}.")
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise ValueError(f"{where} has the key {key!r}; keys must be of type str.")
            return {key: convert(item, f"{where}.{key}") for key, item in value.items()}
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

    Types: dataclasses (of which an instance stays as it is), `tuple`, `list`, `dict` with `str`
    keys, unions, `Literal`, None, bool, int, float, str, `Path`, `Any`; a `Sequence` or `Iterable`
    is a tuple. An int stands for a float, never the reverse. Fields of a dataclass that are left
    out come from `default` (an instance), or else from the class.

    Raises:
      ValueError: a value of another type, one that a `Requirement` does not hold of, or a field
        that the dataclass does not have or that is missing; the sentence names the place, beginning
        with `where`.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        found = from_json(inner[0], value, where, default)
        for requirement in inner[1:]:
            if isinstance(requirement, Requirement) and not requirement.holds(found):
                shown = (
                    f"({', '.join(map(str, found))})" if isinstance(found, tuple) else repr(found)
                )
                raise ValueError(f"{where} must be {requirement.words}, got {shown}.")
        return found
    if dataclasses.is_dataclass(annotation):
        if isinstance(value, typing.cast(type, annotation)):
            return value
        return _dataclass_from_json(annotation, value, where, default)
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(inner, value, where)
    if origin is typing.Literal:
        if any(value == option and type(value) is type(option) for option in inner):
            return value
        raise ValueError(f"{where} must be one of {', '.join(map(repr, inner))}, got {value!r}.")
    kind = origin or annotation
    if kind in (Sequence, Iterable):
        kind, inner = tuple, (*(inner or (Any,)), ...)
    if kind in (tuple, list) and isinstance(value, list | tuple):
        return _sequence_from_json(kind, inner, value, where)
    if kind in (dict, Mapping) and isinstance(value, Mapping):
        item_type = inner[1] if inner else Any
        return {key: from_json(item_type, item, f"{where}.{key}") for key, item in value.items()}
    if kind is Any:
        return value
    if (kind is float and type(value) is int) or (kind is Path and isinstance(value, str)):
        return kind(value)
    if kind in _PLAIN and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ValueError(f"{where} must be of type {type_name(annotation)}, got {value!r}.")


def read_json(file: Path) -> Any:
    """The value in a JSON file; an InputError that names the file if it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}.") from error


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
    first, second = flattened(to_json(first)), flattened(to_json(second))
    missing = object()
    return {
        name: (first.get(name), second.get(name))
        for name in {**first, **second}
        if first.get(name, missing) != second.get(name, missing)
    }


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """The values in nested mappings by their names, joined by dots: `{"train.steps": 10}`."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat = {}
    for key, item in value.items():
        flat |= flattened(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _dataclass_from_json(annotation: Any, value: Any, where: str, default: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object of named fields, got {value!r}.")
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
    raise ValueError(f"{where} must be of type {names}, got {value!r}.")


def _sequence_from_json(kind: type, inner: tuple, values: Any, where: str) -> Any:
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        if len(values) != len(inner):
            raise ValueError(f"{where} must have {len(inner)} entries, got {len(values)}.")
        types_of_items = inner
    else:
        types_of_items = (inner[0] if inner else Any,) * len(values)
    return kind(
        from_json(item_type, value, f"{where}[{index}]")
        for index, (item_type, value) in enumerate(zip(types_of_items, values, strict=True))
    )


def type_name(annotation: Any) -> str:
    """An annotation as it is written, without requirements: `int | tuple[int, ...]`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is tuple:
        return f"tuple[{', '.join(map(type_name, inner))}]"
    if annotation is Ellipsis:
        return "..."
    name = annotation.__name__ if type(annotation) is type else str(annotation)
    return name.replace("typing.", "").replace("collections.abc.", "")


def perhaps_you_meant(name: str, names: Iterable[str]) -> str:
    """The words ` (perhaps you meant 'tiled')` if a name like this one exists, else none."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (perhaps you meant {close[0]!r})" if close else ""
