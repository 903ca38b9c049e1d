"""What each of several variants costs: a panel for every quantity, each value written beside it."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cnnjax.report.figures.style import BLUE, DOUBLE_COLUMN, styled
from cnnjax.report.table import format_count


@styled
def bars(rows: Mapping[str, Mapping[str, float | None]]) -> Figure:
    """Counts, such as parameters, multiply-adds and images per second, of several variants.

    Bars from zero; dots on a logarithmic axis where the largest value is more than ten times the
    smallest, because there a bar's length has no meaning.

    Args:
      rows: for each row's name the values by their titles, from 0 up; None was not measured. All
        rows have the same titles; one without any value is left out.

    Raises:
      ValueError: no row, or nothing was measured.
    """
    titles = [
        title
        for title in next(iter(rows.values()), {})
        if any(row[title] is not None for row in rows.values())
    ]
    if not titles:
        raise ValueError(f"rows must have values, got {dict(rows)}.")
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.21 * len(rows) + 0.75))
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        _draw(axes, [row[title] for row in rows.values()], title)
    panels[0].set_yticks(range(len(rows)), labels=list(rows))
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _draw(axes: Axes, values: Sequence[float | None], title: str) -> None:
    measured = [value for value in values if value is not None]
    low, high = min(measured), max(measured)
    if low > 0 and high > 10 * low:
        _draw_dots(axes, values, math.log10(high / low), title)
        axes.set_xlim(low / (high / low) ** 0.15, high * (high / low) ** 0.5)
        absent = low
    else:
        axes.barh(
            range(len(values)), [v or 0.0 for v in values], height=0.55, color=BLUE, label=title
        )
        axes.set_xlim(0, 1.35 * (high or 1))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
        absent = 0.0
    axes.xaxis.set_major_formatter(FuncFormatter(_count_tick))
    axes.set_title(title, loc="left")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for line, value in enumerate(values):
        axes.annotate(
            "not measured" if value is None else format_count(value),
            (absent if value is None else value, line),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )


def _draw_dots(axes: Axes, values: Sequence[float | None], decades: float, title: str) -> None:
    at = [(value, line) for line, value in enumerate(values) if value is not None]
    axes.set_xscale("log")
    axes.grid(axis="y", linestyle=(0, (1, 2)), color="#bdbdbd")
    axes.plot(*zip(*at, strict=True), "o", color=BLUE, markersize=4.5, label=title)
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0,), numticks=6)
    )
    axes.xaxis.set_minor_locator(NullLocator())


def _count_tick(value: float, _position: int) -> str:
    return format_count(value).replace(".0 ", " ")
