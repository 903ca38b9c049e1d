"""Several variants, a row each: what they cost, and means with their intervals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cnnjax.report.figures.style import (
    BLUE,
    DASHED,
    DOTTED,
    DOUBLE_COLUMN,
    SERIES,
    legend_rows,
    styled,
)
from cnnjax.report.table import format_count, interval
from cnnjax.run.statistics import Summary


def row_panels(names: Sequence[str], titles: Sequence[str]) -> tuple[Figure, Sequence[Axes]]:
    """A figure with a row for each name, the first on top, and a panel for each title."""
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.21 * len(names) + 0.75))
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, loc="left")
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(names)), labels=names)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    return figure, panels


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
    titles = next(iter(rows.values()), {})
    titles = [name for name in titles if any(row[name] is not None for row in rows.values())]
    if not titles:
        raise ValueError(f"rows must have values, got {dict(rows)}.")
    figure, panels = row_panels(list(rows), titles)
    for axes, title in zip(panels, titles, strict=True):
        _draw_counts(axes, [row[title] for row in rows.values()], title)
    return figure


def _draw_counts(axes: Axes, values: Sequence[float | None], label: str) -> None:
    measured = {line: value for line, value in enumerate(values) if value is not None}
    low, high = min(measured.values()), max(measured.values())
    if low > 0 and high > 10 * low:
        start, decades = low, math.log10(high / low)
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.15, high * (high / low) ** 0.5)
        axes.grid(axis="y", **DOTTED)
        axes.plot([*measured.values()], [*measured], "o", color=BLUE, markersize=4.5, label=label)
        subdivisions = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subdivisions, numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        start, lengths = 0.0, [value or 0.0 for value in values]
        axes.barh(range(len(values)), lengths, height=0.55, color=BLUE, label=label)
        axes.set_xlim(0, 1.35 * (high or 1))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_count(x).replace(".0 ", " ")))
    axes.spines["left"].set_visible(False)
    for line in range(len(values)):
        axes.annotate(
            format_count(measured[line]) if line in measured else "not measured",
            (measured.get(line, start), line),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )


@styled
def dots(
    rows: Mapping[str, Mapping[str, Summary]],
    label: str,
    *,
    scale: float = 100.0,
    limits: tuple[float, float] | None = (0.0, 100.0),
    reference: tuple[str, float] | None = None,
) -> Figure:
    """Means of up to four series for each row, with 95 % intervals over at least three seeds.

    Args:
      rows: for each row's name, a summary by series; every row has the same series.
      label: of the axis.
      scale: values are multiplied by it.
      limits: of the axis, after scaling; intervals are cut there. None: as the values need.
      reference: name and scaled value of a dashed line, such as chance.

    Raises:
      ValueError: no rows, unequal series, or more than four.
    """
    series = list(next(iter(rows.values()), {}))
    if not 1 <= len(series) <= len(SERIES) or any(list(row) != series for row in rows.values()):
        raise ValueError(
            f"rows must all have the same 1 to {len(SERIES)} series, got "
            f"{ {name: list(row) for name, row in rows.items()} }."
        )
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.19 * (len(series) + 0.8) * len(rows) + 0.9))
    axes = figure.subplots()
    lane = 1 / (len(series) + 0.8)
    for line, row in enumerate(rows.values()):
        for order, summary in enumerate(row.values()):
            look = SERIES[order]
            y = line + (order - (len(series) - 1) / 2) * lane
            if ends := interval(summary):
                cut = np.clip(scale * np.array(ends), *(limits or (None, None)))
                axes.plot(cut, [y, y], "|-", color=look["color"], markersize=3.5, linewidth=1.1)
            axes.plot(scale * summary.mean, y, **look)
    for boundary in range(1, len(rows)):
        axes.axhline(boundary - 0.5, color="#e2e2e2", linewidth=0.5, zorder=0)
    if limits is not None:
        span = limits[1] - limits[0]
        axes.set_xlim(limits[0] - 0.01 * span, limits[1] + 0.01 * span)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), labels=list(rows))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(label)
    handles = [
        Line2D([], [], label=name, linestyle="-", linewidth=1.1, **look)
        for name, look in zip(series, SERIES)
    ]
    if reference is not None:
        axes.axvline(reference[1], zorder=0.5, **DASHED)
        handles.append(Line2D([], [], label=reference[0], **DASHED))
    legend_rows(figure, handles)
    return figure
