"""Panels side by side, each with axes of its own, of curves whose names mean the same in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cnnjax.report.figures.style import BLACK, DASHED, DOUBLE_COLUMN, GREY, styled
from cnnjax.report.table import format_count

_LOOKS: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "linewidth": 1.5},
    {"linestyle": (0, (2.4, 1.1)), "linewidth": 1.1},
    {"linestyle": (0, (1.0, 1.0)), "linewidth": 1.1},
)
_DARKEST, _BRIGHTEST = 0.05, 0.78
"""Part of the colour map in which neighbours are told apart, on white and in grey."""
_LETTERS, _HANDLE = 110, 7
"""Letters of a line as wide as the figure, and those that fit beside a name in the legend."""


@dataclass(frozen=True)
class Curve:
    """A curve over one axis, and the band of its seeds."""

    name: str
    """What it belongs to; its colour, the same in all panels."""
    x: Sequence[float] | np.ndarray
    """Places of its values."""
    y: np.ndarray
    """Values, `[x]` or `[seeds, x]`; of seeds the mean is drawn, in a band from smallest to
    largest."""
    variant: str = ""
    """What tells it from the others of this name; its kind of line, the same in all panels."""
    zero: float | None = None
    """Largest value that is marked by a dot, as exactly zero; None: every value has a mark."""


@dataclass(frozen=True)
class CurvePanel:
    """One panel: its curves, and what its axes show."""

    title: str
    """Above it; lines may be broken."""
    x_label: str
    """Below it."""
    y_label: str
    """Beside it."""
    curves: Sequence[Curve]
    """In drawing order."""
    logarithmic: bool = False
    """Whether the horizontal axis is."""
    limits: tuple[float | None, float | None] = (None, None)
    """Limits of the vertical axis; None: as the curves are."""
    references: Sequence[float] = ()
    """Heights of dashed lines, such as levels or chance."""


@styled
def curve_panels(panels: Sequence[CurvePanel], ordered: Sequence[str]) -> Figure:
    """Panels of curves; names in an order, such as sizes, have colours in order, others are grey.

    Args:
      panels: side by side.
      ordered: names from first to last; every other name is drawn in grey.

    Raises:
      ValueError: panels without any curve, or a curve without a value for each x.
    """
    curves = [curve for panel in panels for curve in panel.curves]
    if not curves:
        raise ValueError(f"panels must have at least one curve, got {list(panels)}.")
    for curve in curves:
        if np.shape(curve.y)[-1:] != np.shape(curve.x):
            raise ValueError(
                f"the curve {curve.name!r} must have a value for each of {len(curve.x)} x, got "
                f"shape {np.shape(curve.y)}."
            )
    names = [name for name in ordered if any(curve.name == name for curve in curves)]
    names += dict.fromkeys(curve.name for curve in curves if curve.name not in names)
    places = np.linspace(_DARKEST, _BRIGHTEST, max(2, len(ordered)))
    colors = dict(zip(ordered, matplotlib.colormaps["viridis"](places), strict=False))
    variants = list(dict.fromkeys(curve.variant for curve in curves))
    looks = {name: _LOOKS[place % len(_LOOKS)] for place, name in enumerate(variants)}
    handles = [Line2D([], [], color=colors.get(n, GREY), linewidth=1.5, label=n) for n in names]
    if len(variants) > 1:
        handles += [Line2D([], [], color=BLACK, label=n or "plain", **looks[n]) for n in variants]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), _LETTERS // (longest + _HANDLE)))
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.5 + 0.17 * -(-len(handles) // columns)))
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        for curve in panel.curves:
            _draw(axes, curve, colors.get(curve.name, GREY), looks[curve.variant])
        if panel.logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=5))
            axes.xaxis.set_major_formatter(FuncFormatter(_in_thousands))
            axes.xaxis.set_minor_formatter(NullFormatter())
        for height in panel.references:
            axes.axhline(height, zorder=0.5, **DASHED)
        axes.set(xlabel=panel.x_label, ylabel=panel.y_label, ylim=panel.limits)
        axes.set_title(panel.title)
        axes.grid()
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    return figure


def collapse(
    errors: Mapping[str, np.ndarray],
    curves: Sequence[Curve],
    scales: Mapping[str, float],
    *,
    ordered: Sequence[str],
    exact: float,
    levels: Sequence[float] = (),
    label: str = "training images",
    unit: str = "index",
    score: str = "test accuracy (%)",
) -> Figure:
    """Three panels: errors against shifts, scores against examples, and against rescaled examples.

    The last shows the curves without a variant: they are one if examples grow as their scales.

    Args:
      errors: by name, errors at shifts of 0, 1, 2, ... pixels, `[shifts]` or `[seeds, shifts]`.
      curves: scores against examples.
      scales: by name, what examples are divided by in the last panel.
      ordered: names in the order of their colours, see `curve_panels`.
      exact: largest error that is marked as zero.
      levels: heights of dashed lines at scores.
      label: of examples.
      unit: word for the scales.
      score: of the vertical axes.
    """
    shifts = [
        Curve(name, range(np.shape(error)[-1]), error, zero=exact) for name, error in errors.items()
    ]
    rescaled = [
        replace(curve, x=np.asarray(curve.x) / scales[curve.name])
        for curve in curves
        if not curve.variant
    ]
    return curve_panels(
        [
            CurvePanel("untrained layer", "shift (pixels)", "equivariance error", shifts),
            CurvePanel("learning", label, score, curves, True, references=levels),
            CurvePanel("rescaled", f"{label} / {unit}", score, rescaled, True, references=levels),
        ],
        ordered,
    )


def _draw(axes: Axes, curve: Curve, color: Any, look: dict[str, Any]) -> None:
    values = np.atleast_2d(np.asarray(curve.y, float))
    mean, x = values.mean(0), np.asarray(curve.x)
    label = ", ".join(filter(None, [curve.name, curve.variant]))
    axes.plot(x, mean, color=color, label=label, zorder=2, **look)
    if len(values) > 1:
        least, most = values.min(0), values.max(0)
        axes.fill_between(x, least, most, zorder=1, color=color, alpha=0.16, linewidth=0)
    marked = np.full(len(x), True) if curve.zero is None else values.max(0) <= curve.zero
    size = 2.4 if curve.zero is None else 3.4
    axes.plot(x[marked], mean[marked], "o", color=color, markersize=size, zorder=3, clip_on=False)


def _in_thousands(value: float, place: int | None = None) -> str:
    """1,000 as '1 k', but 0.1, 1 and 100 as they are."""
    del place
    return format_count(value) if value >= 1 else f"{value:g}"
