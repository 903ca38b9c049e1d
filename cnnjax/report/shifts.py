"""Pictures of equivariance error over shifts: curves along one axis, maps over both."""

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    VERMILLION,
    legend_columns,
    styled,
)

EXACT = 1e-5
"""Largest error that counts as zero: rounding of float32 through a network stays below it."""
_EXACT_LABEL = "exactly zero (≤ 10⁻⁵)"

INDEPENDENT = math.sqrt(2)
"""||a - b|| / ||a|| of two independent, centred vectors a, b of the same expected norm."""

# Each curve is thinner than the one before and drawn on it, so that equal curves all show.
_CURVES: tuple[dict[str, Any], ...] = (
    {"color": GREY, "linewidth": 3.0, "alpha": 0.75, "linestyle": "-"},
    {"color": BLUE, "linewidth": 1.5, "linestyle": "-"},
    {"color": VERMILLION, "linewidth": 1.4, "linestyle": (0, (2.4, 1.1))},
    {"color": GREEN, "linewidth": 1.0, "linestyle": (0, (1.0, 1.0))},
)
_ZEROS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "markersize": 5.2, "markerfacecolor": "white", "markeredgewidth": 1.1},
    {"marker": "o", "markersize": 3.2, "markeredgewidth": 0.0},
    {"marker": "o", "markersize": 1.5, "markeredgewidth": 0.0},
    {"marker": "o", "markersize": 0.8, "markeredgewidth": 0.0},
)


@dataclass(frozen=True)
class ShiftPanel:
    """Equivariance error of one layer or network against the shift along one axis.

    `curves` holds an array [seeds, shifts] (or [shifts]) under each label, in drawing order: the
    error at the shifts 0, 1, 2, ... pixels. `step` is the predicted lattice's smallest step: zeros
    are expected at its multiples (only at 0 when it is the number of shifts).
    """

    title: str
    curves: Mapping[str, np.ndarray]
    step: int


@styled
def error_against_shift(
    panels: Sequence[ShiftPanel],
    *,
    shift_label: str = "horizontal shift (pixels, circular)",
    columns: int = 4,
) -> Figure:
    """Small multiples of equivariance error against shift: a mean curve and a min-to-max band each.

    Shifts at which every seed's error is at most EXACT are dots on the zero line; triangles below
    it are the predicted lattice; the dashed line is INDEPENDENT; errors above 2.2 are cut. Raises
    ValueError for no panels, arrays of another shape, unequal labels, more than four curves, or a
    step below 1.
    """
    if not panels:
        raise ValueError("error_against_shift needs at least one panel, but got none.")
    labels = list(panels[0].curves)
    if not 1 <= len(labels) <= len(_CURVES):
        raise ValueError(f"a panel holds 1 to {len(_CURVES)} curves, but got {labels}.")
    _require_columns(columns)
    data = [_panel_curves(panel, labels) for panel in panels]
    highest = max(float(curve.max()) for curves in data for curve in curves)
    # One network that answers wildly must not flatten the curves of all others.
    top = min(max(1.65, 1.08 * highest), 2.2)
    rows, columns = math.ceil(len(panels) / columns), min(columns, len(panels))
    figure = Figure(figsize=(DOUBLE_COLUMN, 1.45 * rows + 0.9))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel, curves in zip(grid.flat, panels, data, strict=False):
        axes.set_title(panel.title)
        axes.axhline(0.0, color="#c8c8c8", linewidth=0.6, zorder=0.5)
        axes.axhline(INDEPENDENT, zorder=0.5, **_INDEPENDENT_LINE)
        for order, (label, curve) in enumerate(zip(labels, curves, strict=True)):
            _draw_curve(axes, label, curve, order)
        lattice = np.arange(0, curves[0].shape[1], panel.step)
        axes.plot(lattice, np.full(lattice.shape, -0.1 * top), label="predicted", **_LATTICE)
    first = grid.flat[0]
    first.set_ylim(-0.15 * top, top)
    first.set_xlim(-0.8, max(curves[0].shape[1] for curves in data) - 0.2)
    first.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 4, 8, 10]))
    first.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    _remove_unused(grid, len(panels))
    figure.supxlabel(shift_label)
    figure.supylabel("equivariance error")
    legend_columns(figure, *_shift_legend(labels))
    return figure


_LATTICE: dict[str, Any] = {
    "color": BLACK,
    "linestyle": "none",
    "marker": "^",
    "markersize": 3.2,
    "mew": 0.0,
}
_INDEPENDENT_LINE: dict[str, Any] = {"color": BLACK, "linewidth": 0.7, "linestyle": (0, (4, 3))}


def _panel_curves(panel: ShiftPanel, labels: list[str]) -> list[np.ndarray]:
    if list(panel.curves) != labels:
        raise ValueError(
            f"every panel must hold the curves {labels}, but {panel.title!r} holds "
            f"{list(panel.curves)}."
        )
    if panel.step < 1:
        raise ValueError(
            f"the lattice's step must be 1 or more, but {panel.title!r} has {panel.step}."
        )
    arrays = [np.atleast_2d(np.asarray(panel.curves[label], np.float64)) for label in labels]
    for label, array in zip(labels, arrays, strict=True):
        if array.ndim != 2 or array.size == 0 or array.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"a curve must be [seeds, shifts] with {arrays[0].shape[-1]} shifts in "
                f"{panel.title!r}, but {label!r} has shape {array.shape}."
            )
        _require_errors(array, f"the curve {label!r} of {panel.title!r}")
    return arrays


def _require_errors(array: np.ndarray, what: str) -> None:
    if not np.isfinite(array).all() or array.min() < 0:
        raise ValueError(
            f"errors must be finite and not negative, but {what} ranges from {array.min()} to "
            f"{array.max()}."
        )


def _require_columns(columns: int) -> None:
    if columns < 1:
        raise ValueError(f"a figure has at least one column, but columns is {columns}.")


def _draw_curve(axes: Axes, label: str, curve: np.ndarray, order: int) -> None:
    shifts, mean = np.arange(curve.shape[1]), curve.mean(axis=0)
    line = _CURVES[order]
    axes.plot(shifts, mean, label=label, zorder=2 + order, solid_joinstyle="round", **line)
    if curve.shape[0] > 1:
        axes.fill_between(
            shifts,
            curve.min(axis=0),
            curve.max(axis=0),
            color=line["color"],
            alpha=0.18,
            linewidth=0,
            zorder=1,
        )
    exact = curve.max(axis=0) <= EXACT
    style: dict[str, Any] = {"color": line["color"], "linestyle": "none", **_ZEROS[order]}
    label, zorder = f"{label}, exact", 7 + order
    axes.plot(shifts[exact], mean[exact], label=label, zorder=zorder, clip_on=False, **style)


def _shift_legend(labels: list[str]) -> list[list[Line2D]]:
    """Columns of two: the curves stand in the first row, the rest below them."""
    curves = [Line2D([], [], label=label, **_CURVES[i]) for i, label in enumerate(labels)]
    below = [
        Line2D([], [], color=GREY, linestyle="none", label=_EXACT_LABEL, **_ZEROS[0]),
        Line2D([], [], label="predicted lattice", **_LATTICE),
        Line2D([], [], label="independent (√2)", **_INDEPENDENT_LINE),
    ]
    pairs = itertools.zip_longest(curves, below)
    return [[handle for handle in pair if handle is not None] for pair in pairs]


def _remove_unused(grid: np.ndarray, used: int) -> None:
    """Drop the axes without a panel; the panel above each then carries the tick labels."""
    for index in range(used, grid.size):
        grid.flat[index].remove()
        above = index - grid.shape[1]
        if 0 <= above < used:
            grid.flat[above].tick_params(labelbottom=True)


@styled
def shift_maps(maps: Mapping[str, Mapping[str, np.ndarray]], *, columns: int = 4) -> Figure:
    """Maps of the error over all shifts: `maps[variant][stage]` is an array [vertical, horizontal].

    One column per variant (after `columns` of them a new block of rows), one row per stage (before
    training, after), one colour scale, which ends at 2 where errors go beyond. Cells with an error
    of at most EXACT are white with a dot.
    Raises ValueError for no maps, unequal stages or shapes, or errors that are no errors.
    """
    if not maps or not all(maps.values()):
        raise ValueError(f"shift_maps needs a map for every variant, but got {dict(maps)}.")
    _require_columns(columns)
    stages = list(next(iter(maps.values())))
    arrays = _map_arrays(maps, stages)
    highest = max(float(array.max()) for array in arrays.values())
    # One network that answers wildly must not make all others look alike.
    end = min(max(highest, INDEPENDENT), 2.0)
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
            image = _draw_map(axes, arrays[variant, stage], end, map_width)
            if order == 0:
                axes.set_title(variant)
            if column == 0:
                axes.set_ylabel(textwrap.fill(stage, max(10, int(14.5 * map_width))))
    _finish_maps(figure, grid, len(maps), len(stages))
    bar = figure.colorbar(
        image,
        ax=figure.axes,
        shrink=0.5,
        aspect=25,
        pad=0.02,
        extend="max" if highest > end else "neither",
    )
    bar.set_label("equivariance error")
    ticks = {0: "0", 0.5: "0.5", 1: "1", INDEPENDENT: "√2", 2: "2"}
    ticks = {value: label for value, label in ticks.items() if value <= end}
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    return figure


def _map_arrays(
    maps: Mapping[str, Mapping[str, np.ndarray]], stages: list[str]
) -> dict[tuple[str, str], np.ndarray]:
    arrays: dict[tuple[str, str], np.ndarray] = {}
    for variant, by_stage in maps.items():
        if list(by_stage) != stages:
            raise ValueError(
                f"every variant must have the maps {stages}, but {variant!r} has {list(by_stage)}."
            )
        for stage in stages:
            array = np.asarray(by_stage[stage], np.float64)
            shape = next(iter(arrays.values())).shape if arrays else array.shape
            if array.ndim != 2 or array.size == 0 or array.shape != shape:
                raise ValueError(
                    f"maps must be [vertical, horizontal], all of shape {shape}, but {stage!r} of "
                    f"{variant!r} has shape {array.shape}."
                )
            _require_errors(array, f"the map {stage!r} of {variant!r}")
            arrays[variant, stage] = array
    return arrays


def _draw_map(axes: Axes, errors: np.ndarray, highest: float, width: float) -> AxesImage:
    exact = errors <= EXACT
    image = axes.imshow(
        np.ma.masked_where(exact, errors),
        cmap="viridis",
        vmin=0,
        vmax=highest,
        origin="lower",
        interpolation="nearest",
    )
    vertical, horizontal = np.nonzero(exact)
    # A third of a cell, in points: a dot says that the cell is zero, not that it is missing.
    size = 0.33 * 72 * width / errors.shape[1]
    axes.plot(horizontal, vertical, label="exact", markersize=size, **_ZERO_CELL)
    axes.spines[:].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=[1, 2, 4, 8, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, steps=[1, 2, 4, 8, 10]))
    return image


_ZERO_CELL: dict[str, Any] = {"marker": "o", "color": BLACK, "linestyle": "none", "mew": 0.0}


def _finish_maps(figure: Figure, grid: np.ndarray, variants: int, stages: int) -> None:
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
        labels=[_EXACT_LABEL],
        handlelength=1.0,
        loc="outside upper center",
    )
