"""Chapters of the lectures, computed with cnnjax's operators: a file each.

A chapter has a TITLE, `numbers()`, which computes what it shows and is the same at every run, and
`blocks(numbers)`, the blocks of the page from those numbers alone. One that measures durations has
`times()` as well, whose values `blocks` gets with the numbers.
"""

from types import ModuleType

from experiments.lectures import (
    algorithms,
    augmentation,
    convolution,
    examples,
    filters,
    gradients,
    learning,
    networks,
    pooling,
    receptive_fields,
    sharing,
    signals,
)

CHAPTERS: tuple[ModuleType, ...] = (
    examples,
    convolution,
    signals,
    sharing,
    gradients,
    pooling,
    receptive_fields,
    filters,
    algorithms,
    networks,
    augmentation,
    learning,
)
"""Chapters in the order of the page."""

TIMED: tuple[str, ...] = ("filters", "algorithms")
"""Names of the chapters that have `times()`."""

__all__ = ["CHAPTERS", "TIMED"]
