"""Equivariance error over all two-dimensional shifts."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.figures.shifts import exact_label
from cnnjax.report.figures.style import BLACK, DOUBLE_COLUMN, styled
from cnnjax.report.table import format_number

_ZERO_CELL: dict[str, Any] = {"marker": "o", "color": BLACK, "linestyle": "none", "mew": 0.0}
_HIGHEST = 2.0


@styled
def shift_maps(
    maps: Mapping[str, Mapping[str, np.ndarray]],
    *,
    exact: float,
    independent: float,
    columns: int = 4,
) -> Figure:
    """Maps of the equivariance error over all shifts, on one colour scale, which ends at 2.

    One column for each variant (after `columns` of them a new block of rows), one row for each
    stage. Cells with an error of at most `exact` are white with a dot.

    Args:
      maps: `maps[variant][stage]` is an array `[vertical, horizontal]`; all variants have the same
        stages and shapes.
      exact: largest error that counts as zero, `symmetry.EXACT`.
      independent: error of unrelated outputs, a tick of the scale, `symmetry.INDEPENDENT`.
      columns: variants to a row.
    """
    stages = list(next(iter(maps.values())))
    arrays = {
        (variant, stage): np.asarray(maps[variant][stage]) for variant in maps for stage in stages
    }
    highest = max(float(array.max()) for array in arrays.values())
    # One network whose outputs vary wildly must not make all others look alike.
    end = min(max(highest, independent), _HIGHEST)
    height, width = next(iter(arrays.values())).shape
    columns = min(columns, len(maps))
    rows = math.ceil(len(maps) / columns) * len(stages)
    # Inches: beside the maps stand the labels and the colour bar, above and below titles and axes.
    map_width = min(2.4, (DOUBLE_COLUMN - 1.6) / columns - 0.12)
    figure_width = columns * (map_width + 0.12) + 1.6
    figure_height = rows * (map_width * height / width + 0.28) + 0.7
    figure = Figure(figsize=(figure_width, figure_height))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for index, variant in enumerate(maps):
        block, column = divmod(index, columns)
        for order, stage in enumerate(stages):
            axes = grid[block * len(stages) + order, column]
            image = _draw_map(axes, arrays[variant, stage], exact, end, map_width)
            if order == 0:
                axes.set_title(variant)
            if column == 0:
                axes.set_ylabel(textwrap.fill(stage, max(10, int(14.5 * map_width))))
    _finish(figure, grid, len(maps), len(stages), exact)
    bar = figure.colorbar(
        image,
        ax=figure.axes,
        shrink=0.5,
        aspect=25,
        pad=0.02,
        extend="max" if highest > end else "neither",
    )
    bar.set_label("equivariance error")
    ticks = {0: "0", 0.5: "0.5", 1: "1", independent: format_number(independent), 2: "2"}
    ticks = {value: label for value, label in ticks.items() if value <= end}
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    return figure


def _draw_map(
    axes: Axes, errors: np.ndarray, exact: float, highest: float, width: float
) -> AxesImage:
    zero = errors <= exact
    image = axes.imshow(
        np.ma.masked_where(zero, errors),
        cmap="viridis",
        vmin=0,
        vmax=highest,
        origin="lower",
        interpolation="nearest",
    )
    vertical, horizontal = np.nonzero(zero)
    # A third of a cell, in points: a dot says that the cell is zero, not that it is missing.
    size = 0.33 * 72 * width / errors.shape[1]
    axes.plot(horizontal, vertical, label="exact", markersize=size, **_ZERO_CELL)
    axes.spines[:].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=[1, 2, 4, 8, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=[1, 2, 4, 8, 10]))
    return image


def _finish(figure: Figure, grid: np.ndarray, variants: int, stages: int, exact: float) -> None:
    """Drop the columns without a variant, and name what all maps share."""
    last_block, used = grid[-stages:], (variants - 1) % grid.shape[1] + 1
    for axes in last_block[:, used:].flat:
        axes.remove()
    if grid.shape[0] > stages:
        for axes in grid[-stages - 1, used:]:
            axes.tick_params(labelbottom=True)
    figure.supxlabel("horizontal shift (pixels, circular)")
    figure.supylabel("vertical shift (pixels, circular)")
    cell = Line2D([], [], linestyle="none", marker="s", markersize=7, color=BLACK)
    cell.set(markerfacecolor="white", markeredgewidth=0.6)
    dot = Line2D([], [], markersize=2, **_ZERO_CELL)
    figure.legend(
        handles=[(cell, dot)],
        labels=[exact_label(exact)],
        handlelength=1.0,
        loc="outside upper center",
    )
