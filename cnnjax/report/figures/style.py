"""One style for every figure: legible at print size, in grey and to colour-blind readers."""

import contextlib
import functools
import io
from collections.abc import Callable, Generator, Sequence
from contextvars import ContextVar
from typing import Any, Literal, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

SINGLE_COLUMN = 3.4
DOUBLE_COLUMN = 7.0
"""Widths in inches of one and of two columns of a journal page."""

BLACK, GREY = "#1c1c1c", "#8c8c8c"
BLUE, VERMILLION, GREEN, ORANGE = "C0", "C1", "C2", "C3"
"""First colours of the style's cycle, distinct to colour-blind readers (Okabe and Ito, 2008)."""

COLORS = (BLUE, VERMILLION, GREEN, ORANGE, "C4", "C5", "C6", BLACK)
"""Colours of things that have a number."""

Format = Literal["png", "pdf", "svg"]
"""File formats of figures."""

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

_user_styles: ContextVar[tuple[str, ...]] = ContextVar("user_styles", default=())

_Parameters = ParamSpec("_Parameters")


@contextlib.contextmanager
def drawn_with(file: str) -> Generator[None]:
    """Draw figures with the settings of a matplotlib style on top of this style, in this context.

    Its `axes.prop_cycle` gives the colours; the width of its `figure.figsize` is that of figures
    of two columns, and others keep their proportion to these.

    Args:
      file: a .mplstyle file, or the name of one of matplotlib's styles.

    Raises:
      ValueError: there is no such style, or it cannot be read.
    """
    try:
        with matplotlib.style.context(file):
            pass
    except (OSError, ValueError) as error:
        raise ValueError(
            f"style must be an .mplstyle file or a style of matplotlib, got {file!r}."
        ) from error
    token = _user_styles.set((*_user_styles.get(), file))
    try:
        yield
    finally:
        _user_styles.reset(token)


def _style() -> contextlib.AbstractContextManager[None]:
    return matplotlib.style.context([STYLE, *_user_styles.get()], after_reset=True)


def color_of(number: int) -> str:
    """One of COLORS by its number; they repeat."""
    return COLORS[number % len(COLORS)]


def panel_grid(
    count: int,
    columns: int,
    size: Callable[[int, int], tuple[float, float]],
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure of panels `[rows, columns]`, without those that are left over in its last row.

    Args:
      count: number of panels.
      columns: of them in a row, at most.
      size: from rows and columns to width and height in inches.
      **options: as `Figure.subplots` takes them.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=size(rows, columns))
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    used = (count - 1) % columns + 1
    for axes in grid[-1, used:]:
        axes.remove()
    for axes in grid[-2:-1, used:].flat:  # they end their columns now
        axes.tick_params(labelbottom=True)
    return figure, grid


def legend_columns(figure: Figure, *columns: Sequence[Line2D]) -> None:
    """A legend above the figure with the handles in columns, each from the top."""
    tallest = max(len(column) for column in columns)
    blank = Line2D([], [], linestyle="none", label=" ")
    padded = [[*column, *[blank] * (tallest - len(column))] for column in columns]
    handles = [handle for column in padded for handle in column]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(columns))


def legend_rows(figure: Figure, handles: Sequence[Line2D]) -> None:
    """A legend above the figure with the handles in as few rows as its width has room for."""
    legend = figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    for columns in range(len(handles) - 1, 0, -1):
        figure.draw_without_rendering()
        if legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def styled(draw: Callable[_Parameters, Figure]) -> Callable[_Parameters, Figure]:
    """Make `draw` return a figure in this style, whatever the caller's matplotlib settings.

    The layout is fixed and the settings are the caller's own again when it returns.
    """

    @functools.wraps(draw)
    def draw_in_style(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Figure:
        with _style():
            figure = draw(*args, **kwargs)
            width = matplotlib.rcParams["figure.figsize"][0]
            figure.set_size_inches(figure.get_size_inches() * width / DOUBLE_COLUMN)
            # Ticks are made when first drawn: make them while the style holds.
            figure.draw_without_rendering()
            return figure

    return draw_in_style


def rendered(figure: Figure, kind: Format = "png", dpi: int = 220) -> bytes:
    """The figure as the bytes of a file; the same figure gives the same bytes."""
    dated = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format=kind, dpi=dpi, metadata={dated[kind]: None})
    return buffer.getvalue()
