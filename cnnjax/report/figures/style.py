"""One style for every figure: legible at print size, in grey and to colour-blind readers."""

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

SINGLE_COLUMN = 3.4
DOUBLE_COLUMN = 7.0
"""Widths in inches of one and of two columns of a journal page."""

BLACK, GREY = "#1c1c1c", "#8c8c8c"
BLUE, VERMILLION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
"""Colours distinct to colour-blind readers (Okabe and Ito, 2008)."""

COLORS = (BLUE, VERMILLION, GREEN, ORANGE, "#56b4e9", "#cc79a7", "#f0e442", BLACK)
"""Colours of things that have a number."""

# By colour, shape and fill: readable without colour.
SERIES: tuple[dict[str, Any], ...] = tuple(
    {"color": color, "marker": marker, "markerfacecolor": face, "markersize": 4.6}
    for color, marker, face in (
        (BLUE, "o", BLUE),
        (VERMILLION, "D", "white"),
        (GREEN, "s", GREEN),
        (ORANGE, "^", "white"),
    )
)
DASHED: dict[str, Any] = {"color": BLACK, "linewidth": 0.7, "linestyle": (0, (4, 3))}
DOTTED: dict[str, Any] = {"color": "#bdbdbd", "linestyle": (0, (1, 2))}
"""Looks of lines: a reference, a guide for the eye."""

STYLE = "cnnjax.report.figures.print"
"""The settings of matplotlib, in print.mplstyle beside this file."""

_Parameters = ParamSpec("_Parameters")


def color_of(number: int) -> str:
    """One of COLORS by its number; they repeat."""
    return COLORS[number % len(COLORS)]


def panel_grid(
    count: int,
    columns: int,
    size: Callable[[int, int], tuple[float, float]],
    *,
    block: int = 1,
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure of panels `[rows, columns]`, without those that are left over in its last rows.

    Args:
      count: number of panels.
      columns: of them in a row, at most.
      size: from rows and columns to width and height in inches.
      block: rows of panels that a panel stands for, one below the other.
      **options: as `Figure.subplots` takes them.
    """
    columns = min(columns, count)
    rows = -(-count // columns) * block
    figure = Figure(figsize=size(rows, columns))
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    used = (count - 1) % columns + 1
    for axes in grid[-block:, used:].flat:
        axes.remove()
    for axes in grid[-block - 1 : -block, used:].flat:  # they end their columns now
        axes.tick_params(labelbottom=True)
    return figure, grid


def legend_columns(figure: Figure, *columns: Sequence[Line2D]) -> None:
    """A legend above the figure with the handles in columns, each from the top."""
    tallest = max(len(column) for column in columns)
    blank = Line2D([], [], linestyle="none", label=" ")
    padded = [[*column, *[blank] * (tallest - len(column))] for column in columns]
    handles = [handle for column in padded for handle in column]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(columns))


def styled(draw: Callable[_Parameters, Figure]) -> Callable[_Parameters, Figure]:
    """Make `draw` return a figure in this style, whatever the caller's matplotlib settings.

    The layout is fixed and the settings are the caller's own again when it returns.
    """

    @functools.wraps(draw)
    def draw_in_style(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Figure:
        with matplotlib.style.context(STYLE, after_reset=True):
            figure = draw(*args, **kwargs)
            # Ticks are made when first drawn: make them while the style holds.
            figure.draw_without_rendering()
            return figure

    return draw_in_style


def png(figure: Figure, dpi: int = 220) -> bytes:
    """The figure as the bytes of a PNG image; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.style.context(STYLE, after_reset=True):
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
