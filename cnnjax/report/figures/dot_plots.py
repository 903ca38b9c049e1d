"""Means of several variants as dots on one axis, with their intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnnjax.report.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    ORANGE,
    VERMILLION,
    styled,
)
from cnnjax.report.table import half_width
from cnnjax.run.statistics import Summary

# By colour, shape and fill: readable without colour.
_SERIES = ((BLUE, "o", True), (VERMILLION, "D", False), (GREEN, "s", True), (ORANGE, "^", False))


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
    if not 1 <= len(series) <= len(_SERIES) or any(list(row) != series for row in rows.values()):
        raise ValueError(
            f"rows must all have the same 1 to {len(_SERIES)} series, got "
            f"{ {name: list(row) for name, row in rows.items()} }."
        )
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.19 * (len(series) + 0.8) * len(rows) + 0.9))
    axes = figure.subplots()
    lane = 1 / (len(series) + 0.8)
    for line, row in enumerate(rows.values()):
        for order, summary in enumerate(row.values()):
            color, marker, filled = _SERIES[order]
            y = line + (order - (len(series) - 1) / 2) * lane
            half = half_width(summary)
            if half is not None:
                ends = scale * np.array([summary.mean - half, summary.mean + half])
                ends = ends if limits is None else np.clip(ends, *limits)
                axes.plot(ends, [y, y], "|-", color=color, markersize=3.5, linewidth=1.1)
            face = color if filled else "white"
            axes.plot(
                scale * summary.mean, y, marker, color=color, markerfacecolor=face, markersize=4.6
            )
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
        Line2D(
            [],
            [],
            label=name,
            color=color,
            marker=marker,
            linestyle="-",
            linewidth=1.1,
            markerfacecolor=color if filled else "white",
            markersize=4.6,
        )
        for name, (color, marker, filled) in zip(series, _SERIES, strict=False)
    ]
    if reference is not None:
        dashed: dict[str, Any] = {"color": BLACK, "linewidth": 0.7, "linestyle": (0, (4, 3))}
        axes.axvline(reference[1], zorder=0.5, **dashed)
        handles.append(Line2D([], [], label=reference[0], **dashed))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure
