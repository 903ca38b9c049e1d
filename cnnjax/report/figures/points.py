"""Means with their intervals against a number, and the curves that they are compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import BLACK, GREY, SERIES, SINGLE_COLUMN, styled
from cnnjax.report.table import half_width
from cnnjax.run.statistics import Summary

_LINES: tuple[dict[str, Any], ...] = (
    {"color": BLACK, "linestyle": (0, (4, 3)), "linewidth": 0.8},
    {"color": GREY, "linestyle": "-", "linewidth": 0.8},
)


@styled
def points_over(
    series: Mapping[str, Mapping[float, Summary]],
    label: str,
    *,
    y_label: str,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Means of up to four series over a number, with 95 % intervals over at least three seeds.

    Args:
      series: for each name a summary by the number it stands at.
      label, y_label: of the axes.
      lines: x and y of up to two curves by name, drawn without points: dashed, and grey.
      limits: of the vertical axis.

    Raises:
      ValueError: no series or more than four, or more than two curves.
    """
    if not 1 <= len(series) <= len(SERIES) or len(lines) > len(_LINES):
        raise ValueError(
            f"series must be 1 to {len(SERIES)} and lines at most {len(_LINES)}, got "
            f"{list(series)} and {list(lines)}."
        )
    figure = Figure(figsize=(1.4 * SINGLE_COLUMN, SINGLE_COLUMN))
    axes = figure.subplots()
    for (name, (x, y)), look in zip(lines.items(), _LINES):
        axes.plot(x, y, label=name, **look)
    for (name, summaries), look in zip(series.items(), SERIES):
        means = [summary.mean for summary in summaries.values()]
        halves = [half_width(summary) for summary in summaries.values()]
        axes.errorbar(
            list(summaries),
            means,
            yerr=np.array([0.0 if half is None else half for half in halves]),
            label=name,
            linestyle="none",
            capsize=2.0,
            elinewidth=1.0,
            **look,
        )
    axes.set(xlabel=label, ylabel=y_label, ylim=limits)
    axes.grid()
    figure.legend(loc="outside upper center", ncols=2)
    return figure
