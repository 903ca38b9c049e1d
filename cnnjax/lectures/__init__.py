"""The lectures that cnnjax descends from, computed: a chapter a file.

A chapter has a TITLE, `numbers()`, which computes all that it shows with cnnjax' own operators, and
`blocks(numbers)`, which writes it down from those numbers alone.
"""

from types import ModuleType

from cnnjax.lectures import (
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
"""In the order of the page."""

__all__ = ["CHAPTERS"]
