"""Learned features in pictures: what units respond to, and what speaks for decisions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnjax.report.figures.style import BLUE, DOUBLE_COLUMN, styled


@styled
def unit_patches(units: Sequence[Mapping[str, Any]]) -> Figure:
    """For each unit its preferred input, and a square of the patches it responds to most.

    Args:
      units: at least one, with 'channel', 'preferred' `[height, width]` and 'patches' `[patches,
        size, size]`, see `inspect.varied_units`.
    """
    lines = -(-len(units) // 3)
    figure = Figure(figsize=(DOUBLE_COLUMN, 1.25 * lines + 0.1))
    grid = figure.subplots(lines, 6, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    # Gaps are coloured: white patches must not run into the page.
    gaps = colormaps["gray"].with_extremes(bad=BLUE)
    for unit, left, right in zip(units, grid[::2], grid[1::2], strict=False):
        _signed(left, unit["preferred"])
        left.set_title(f"channel {unit['channel']}", pad=2)
        right.imshow(_mosaic(np.asarray(unit["patches"])), cmap=gaps)
    return figure


@styled
def evidence_maps(decisions: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """A column for each decision: the image, its saliency, its occlusion.

    Args:
      decisions: at least one, with 'image', 'saliency' and 'occlusion' `[height, width]`, 'label'
        and 'predicted', see `inspect.evidence`.
      names: of the classes.
    """
    columns = max(5, len(decisions))
    figure = Figure(figsize=(DOUBLE_COLUMN, 3 * DOUBLE_COLUMN / columns + 0.4))
    grid = figure.subplots(3, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for (image, saliency, occlusion), decision in zip(grid.T, decisions, strict=False):
        true, predicted = names[decision["label"]], names[decision["predicted"]]
        image.imshow(np.asarray(decision["image"]), cmap="gray")
        image.set_title(true if true == predicted else f"{true} → {predicted}", pad=3)
        saliency.imshow(np.asarray(decision["saliency"]), cmap="inferno")
        _signed(occlusion, decision["occlusion"])
    for axes, label in zip(grid[:, 0], ("image", "saliency", "occlusion"), strict=True):
        axes.text(-0.08, 0.5, label, rotation=90, ha="right", va="center", transform=axes.transAxes)
    return figure


def _signed(axes: Axes, image: Any) -> None:
    """Zero white, negative values blue, positive ones red."""
    largest = max(np.abs(image).max(), 1e-12)
    axes.imshow(np.asarray(image), cmap="RdBu_r", vmin=-largest, vmax=largest)


def _mosaic(patches: np.ndarray) -> np.ndarray:
    """Patches as one square, with gaps of NaN."""
    side, columns = patches.shape[1], math.ceil(math.sqrt(len(patches)))
    gap = max(1, side // 10)
    square = np.full((columns * (side + gap) - gap,) * 2, np.nan)
    for number, patch in enumerate(patches):
        top, left = (place * (side + gap) for place in divmod(number, columns))
        square[top : top + side, left : left + side] = patch
    return square
