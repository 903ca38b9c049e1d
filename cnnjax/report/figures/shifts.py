"""Equivariance error against the shift along one axis."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.figures.style import (
    BLACK,
    BLUE,
    DASHED,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    VERMILLION,
    legend_columns,
    panel_grid,
    styled,
)
from cnnjax.report.table import format_number

_TITLE_LETTERS = 26
"""Letters of a line of a panel's title, as wide as the panel."""

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
_LATTICE: dict[str, Any] = {"color": BLACK, "ls": "none", "mew": 0, "marker": "^", "ms": 3.2}
_HIGHEST = 2.2


@dataclass(frozen=True)
class ShiftPanel:
    """Equivariance error of one layer or network against the shift along one axis."""

    title: str
    """What it is."""
    curves: Mapping[str, np.ndarray]
    """By label, in drawing order, up to four: the error at shifts of 0, 1, 2, ... pixels, `[seeds,
    shifts]` or `[shifts]`."""
    step: int
    """Smallest step of the predicted lattice: zeros are expected at its multiples."""


@styled
def error_against_shift(
    panels: Sequence[ShiftPanel],
    exact: float,
    independent: float,
    reference: str = "independent",
    error: str = "equivariance error",
    *,
    label: str = "horizontal shift (pixels, circular)",
    columns: int = 4,
) -> Figure:
    """Panels of equivariance error against shift: by label a mean curve and a min-to-max band.

    Shifts at which every seed's error is at most `exact` are dots on the zero line; triangles below
    it are the predicted lattice; errors above 2.2 are cut.

    Args:
      panels: with the same labels.
      exact: largest error that counts as zero, `symmetry.EXACT`.
      independent: a dashed line, the error of unrelated outputs: `symmetry.INDEPENDENT` where they
        have no common mean, 1 of an error in units of that between images.
      reference: word for the dashed line.
      error: of the vertical axis.
      label: of the horizontal axis.
      columns: panels to a row.
    """
    labels = list(panels[0].curves)
    data = [[np.atleast_2d(np.asarray(panel.curves[name])) for name in labels] for panel in panels]
    highest = max(float(curve.max()) for curves in data for curve in curves)
    # One network whose outputs vary wildly must not flatten the curves of all others.
    top = min(max(1.17 * independent, 1.08 * highest), _HIGHEST)
    figure, grid = panel_grid(
        len(panels),
        columns,
        lambda rows, _: (DOUBLE_COLUMN, 1.45 * rows + 0.9),
        sharex=True,
        sharey=True,
    )
    for axes, panel, curves in zip(grid.flat, panels, data, strict=False):
        axes.set_title(textwrap.fill(panel.title, _TITLE_LETTERS))
        axes.axhline(0.0, color="#c8c8c8", linewidth=0.6, zorder=0.5)
        axes.axhline(independent, zorder=0.5, **DASHED)
        for order, (name, curve) in enumerate(zip(labels, curves, strict=True)):
            _draw_curve(axes, name, curve, order, exact)
        lattice = np.arange(0, curves[0].shape[1], panel.step)
        axes.plot(lattice, np.full(lattice.shape, -0.1 * top), label="predicted", **_LATTICE)
    first = grid.flat[0]
    first.set_ylim(-0.15 * top, top)
    first.set_xlim(-0.8, max(curves[0].shape[1] for curves in data) - 0.2)
    first.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 4, 8, 10]))
    first.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    figure.supxlabel(label)
    figure.supylabel(error)
    legend_columns(figure, *_legend(labels, exact, independent, reference))
    return figure


def _draw_curve(axes: Axes, label: str, curve: np.ndarray, order: int, exact: float) -> None:
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
    zero = curve.max(axis=0) <= exact
    style: dict[str, Any] = {"color": line["color"], "linestyle": "none", **_ZEROS[order]}
    label, zorder = f"{label}, exact", 7 + order
    axes.plot(shifts[zero], mean[zero], label=label, zorder=zorder, clip_on=False, **style)


def _legend(
    labels: list[str], exact: float, independent: float, reference: str
) -> list[list[Line2D]]:
    """Columns of two: the curves stand in the first row, the rest below them."""
    curves = [Line2D([], [], label=label, **_CURVES[i]) for i, label in enumerate(labels)]
    zero = f"exactly zero (≤ {format_number(exact, 1)})"
    below = [
        Line2D([], [], color=GREY, linestyle="none", label=zero, **_ZEROS[0]),
        Line2D([], [], label="predicted lattice", **_LATTICE),
        Line2D([], [], label=f"{reference} ({format_number(independent)})", **DASHED),
    ]
    pairs = itertools.zip_longest(curves, below)
    return [[handle for handle in pair if handle is not None] for pair in pairs]
