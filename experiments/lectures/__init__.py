"""Chapters of the lectures, computed with cnnjax's operators: a file each.

A chapter has a TITLE, `numbers()`, which computes all that it shows, and `blocks(numbers)`, the
blocks of the page from those numbers alone; and, if it likes, `files(numbers)`, the contents of
files that lie beside the page, by name.
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

__all__ = ["CHAPTERS"]
