"""Chapters of the lectures, computed with cnnjax's operators: a file each.

A chapter has a TITLE, `numbers()`, which computes what it shows and is the same at every run, and
`blocks(numbers)`, the blocks of the page from those numbers alone. One that measures durations has
`times()` as well, whose values `blocks` gets with the numbers; one that lays files beside the page
has `files(numbers)`, their contents by name.
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
    sizes,
    sound,
    spectral_bias,
    text,
    training,
)

CHAPTERS: tuple[ModuleType, ...] = (
    examples,
    convolution,
    sizes,
    signals,
    sound,
    text,
    sharing,
    gradients,
    pooling,
    receptive_fields,
    filters,
    algorithms,
    networks,
    augmentation,
    training,
    learning,
    spectral_bias,
)
"""Chapters in the order of the page."""

TIMED: tuple[str, ...] = ("filters", "algorithms")
"""Names of the chapters that have `times()`."""

__all__ = ["CHAPTERS", "TIMED"]
