"""The cells of a study: every combination of its factors, one trained network each."""

from __future__ import annotations

import datetime
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cnnjax.run.config import flattened
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import rich.console


SEED = "seed"
"""The last factor of every cell: columns after it hold numbers."""

RATE = "learning_rate"
"""The factor of a tuning run, beside those of the arms and the seed."""


class Cell(Mapping[str, Any]):
    """One network of a study: the value of each factor, the seed last.

    Attributes:
      name: its values in one line, `p4 seed 0`: names its checkpoints, its metrics and its arrays.
    """

    def __init__(self, factors: Mapping[str, Any]) -> None:
        self._factors = dict(factors)
        *values, seed = self._factors.values()
        self.name = " ".join([*map(str, values), f"seed {seed}"])

    def __getitem__(self, name: str) -> Any:
        return self._factors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._factors)

    def __len__(self) -> int:
        return len(self._factors)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self._factors.items())

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """What identifies the cell in a file of text, whatever the order of its factors."""
        return tuple(sorted((name, text_of(value)) for name, value in self._factors.items()))


def grid(factors: Mapping[str, Any]) -> list[Cell]:
    """All combinations of the factors' values, the last factor fastest.

    Args:
      factors: for each name its values; a single number or text is a factor of one value. A value
        that is a mapping is a condition of several factors that belong together.

    Raises:
      ValueError: no factor 'seed', a factor without values, or two cells of the same factors.
    """
    if SEED not in factors:
        raise ValueError(f"factors must include {SEED!r}, got {list(factors)}.")
    ordered = {name: values for name, values in factors.items() if name != SEED}
    ordered[SEED] = factors[SEED]
    choices = []
    for name, values in ordered.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            values = [values]
        if not values:
            raise ValueError(f"factor {name!r} must have at least one value, got none.")
        choices.append([v if isinstance(v, Mapping) else {name: v} for v in values])
    cells = [
        Cell({name: value for part in parts for name, value in part.items()})
        for parts in itertools.product(*choices)
    ]
    if len({cell.key for cell in cells}) < len(cells):
        raise ValueError(f"every cell must differ from the others, got {list(map(str, cells))}.")
    return cells


def announced(left: Sequence[Cell], total: int, *, quiet: bool = False) -> Iterator[Cell]:
    """The cells that are left, each after a line of its number, its factors, and the time left.

    The time left is that of the cells of this process so far, times those that are left.
    """
    console = rich.console.Console(soft_wrap=True, highlight=False, quiet=quiet)
    started = time.monotonic()
    for done, cell in enumerate(left):
        text = f"[{total - len(left) + done + 1}/{total}] {cell}"
        if done:
            seconds = round((time.monotonic() - started) / done * (len(left) - done))
            text += f"  ({datetime.timedelta(seconds=seconds)} left)"
        console.print(text, markup=False, style="bold")
        yield cell


def cell_of(row: Mapping[str, Any], factors: Iterable[str]) -> Cell:
    """The cell of a row of a table; a factor that its grid does not have is missing there."""
    return Cell({name: row[name] for name in factors if name in row})


def flat_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Numbers and arrays of an observation, nested mappings flattened: `before.conv1`.

    Args:
      values: numbers, None, arrays, and mappings of these.

    Returns:
      Numbers (bool, int, float or None) by name, and arrays by name.

    Raises:
      ValueError: a value that is neither, or a number that is not finite.
    """
    numbers: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, value in flattened(values).items():
        if isinstance(value, list | tuple) or hasattr(value, "shape"):
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise ValueError(f"observation {name!r} must be numbers, got {value!r}.")
            if array.ndim:
                arrays[name] = array
                continue
            value = array.item()
        if value is not None and not isinstance(value, bool | int | float):
            raise ValueError(f"observation {name!r} must be a number or an array, got {value!r}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"observation {name!r} must be finite, got {value}.")
        numbers[name] = value
    return numbers, arrays


def text_of(value: Any) -> str:
    """A factor or number as a table of text holds it; `value_of` reads it again."""
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def value_of(text: str) -> Any:
    """A bool, int or float that the text spells, or else the text."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def arm_name(values: Sequence[Any]) -> str:
    """The values of an arm's factors in one line, `tiled(tile=2) translated`."""
    return " ".join(map(str, values))


def rounded(value: float) -> float:
    """To three digits, so that a third of a rate times three is that rate again."""
    return float(f"{value:.3g}")
