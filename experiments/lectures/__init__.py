"""Chapters of the lectures, computed with cnnjax's operators: a file each.

A chapter has a TITLE, `numbers()`, which computes all that it shows, and `blocks(numbers)`, the
blocks of the page from those numbers alone.
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

__all__ = ["CHAPTERS"]
