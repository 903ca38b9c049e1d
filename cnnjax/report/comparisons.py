"""Comparisons of variants of a network: what each costs, and how accurate it is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cnnjax.report.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    legend_columns,
    styled,
)
from cnnjax.report.table import format_count
from cnnjax.run.statistics import Summary


@dataclass(frozen=True)
class Price:
    """What one variant costs: numbers of parameters and of multiply-adds per image, and speed.

    `images_per_second` is training's, None where it was not measured.
    """

    name: str
    params: float
    multiply_adds: float
    images_per_second: float | None = None

    def __post_init__(self) -> None:
        for what in ("params", "multiply_adds", "images_per_second"):
            value = getattr(self, what)
            if value is None and what == "images_per_second":
                continue
            if value is None or not (math.isfinite(value) and value > 0):
                raise ValueError(f"{what} of {self.name!r} must be positive, but is {value}.")


@styled
def price(rows: Sequence[Price]) -> Figure:
    """Parameters and multiply-adds (dots, logarithmic) and training images/s (bars), labelled.

    One line per row, from top to bottom. Raises ValueError for no rows.
    """
    if not rows:
        raise ValueError("price needs at least one row, but got none.")
    measured = any(row.images_per_second is not None for row in rows)
    panels = 3 if measured else 2
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.21 * len(rows) + 0.75))
    (parameters, work, *speed) = figure.subplots(1, panels, sharey=True)
    _dots(parameters, [row.params for row in rows], "parameters")
    _dots(work, [row.multiply_adds for row in rows], "multiply-adds per image")
    if measured:
        _bars(speed[0], [row.images_per_second for row in rows], "training images per second")
    parameters.set_yticks(range(len(rows)), labels=[row.name for row in rows])
    parameters.set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _dots(axes: Axes, values: list[float], title: str) -> None:
    """Values on a logarithmic axis: dots, for a bar's length has no meaning without a zero."""
    low, high = min(values), max(values)
    decades = max(1.0, math.log10(high / low))
    axes.set_xscale("log")
    axes.set_xlim(low / 10 ** (0.15 * decades), high * 10 ** (0.5 * decades))
    axes.grid(axis="y", linestyle=(0, (1, 2)), color="#bdbdbd")
    axes.plot(values, range(len(values)), "o", color=BLUE, markersize=4.5, label=title)
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0,), numticks=6)
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_count_tick))
    _finish(axes, values, values, title)


def _bars(axes: Axes, values: list[float | None], title: str) -> None:
    lengths = [value or 0.0 for value in values]
    axes.barh(range(len(values)), lengths, height=0.55, color=BLUE, label=title)
    axes.set_xlim(0, 1.35 * max(lengths))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(FuncFormatter(_count_tick))
    _finish(axes, lengths, values, title)


def _count_tick(value: float, _position: int) -> str:
    return format_count(value).replace(".0 ", " ")


def _finish(axes: Axes, positions: list[float], values: Sequence[float | None], title: str) -> None:
    """Title, and each value as text to the right of its mark."""
    axes.set_title(title, loc="left")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for line, (position, value) in enumerate(zip(positions, values, strict=True)):
        axes.annotate(
            "not measured" if value is None else format_count(value),
            (position, line),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )


@dataclass(frozen=True)
class Accuracy:
    """Accuracy (0 to 1) of one variant, trained on one kind of data, on each of the test sets."""

    name: str
    train_data: str
    tests: Mapping[str, Summary]


# Training data by colour and fill, test data by shape: readable without colour.
_TRAIN_STYLES = ((BLUE, "full"), (VERMILLION, "none"), (GREEN, "left"), (ORANGE, "right"))
_TEST_MARKERS = ("o", "D", "s", "^")
_CHANCE_LINE: dict[str, Any] = {"color": BLACK, "linewidth": 0.7, "linestyle": (0, (4, 3))}


@styled
def accuracy(rows: Sequence[Accuracy], *, chance: float | None = None) -> Figure:
    """Accuracy per variant: one line per training data, one marker per test data, joined.

    Whiskers are 95 % confidence intervals over seeds (cut at 0 and 100 %; none for one seed); the
    dashed line is `chance`. Raises ValueError for no rows, unequal test data, a (name, train_data)
    given twice, more than four kinds of either data, or an accuracy outside 0 to 1.
    """
    names, kinds, tests = _accuracy_groups(rows)
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.21 * (len(kinds) + 0.6) * len(names) + 1.0))
    axes = figure.subplots()
    lane = 1 / (len(kinds) + 0.6)
    for row in rows:
        order = kinds.index(row.train_data)
        y = names.index(row.name) + (order - (len(kinds) - 1) / 2) * lane
        _draw_dumbbell(axes, row, y, lane, order)
    for boundary in range(1, len(names)):
        axes.axhline(boundary - 0.5, color="#e2e2e2", linewidth=0.5, zorder=0)
    if chance is not None:
        axes.axvline(100 * chance, zorder=0.5, **_CHANCE_LINE)
    summaries = [summary for row in rows for summary in row.tests.values()]
    lowest = min((summary.interval() or (summary.mean,))[0] for summary in summaries)
    axes.set_xlim(0 if chance is not None else max(0, 100 * lowest - 2), 101)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), labels=names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel("test accuracy (%)")
    legend_columns(figure, *_accuracy_legend(kinds, tests, chance is not None))
    return figure


def _accuracy_groups(rows: Sequence[Accuracy]) -> tuple[list[str], list[str], list[str]]:
    """Names, kinds of training data and of test data, each in the order of first appearance."""
    if not rows or not rows[0].tests:
        raise ValueError(f"accuracy needs rows with at least one test set each, but got {rows}.")
    names = list(dict.fromkeys(row.name for row in rows))
    kinds = list(dict.fromkeys(row.train_data for row in rows))
    tests = list(rows[0].tests)
    if len(kinds) > len(_TRAIN_STYLES) or len(tests) > len(_TEST_MARKERS):
        raise ValueError(
            f"accuracy tells at most {len(_TRAIN_STYLES)} kinds of training and of test data "
            f"apart, but got {kinds} and {tests}."
        )
    if len({(row.name, row.train_data) for row in rows}) < len(rows):
        raise ValueError(
            "every row needs its own name and training data, but got "
            f"{[(row.name, row.train_data) for row in rows]}."
        )
    for row in rows:
        if list(row.tests) != tests:
            raise ValueError(
                f"every row must be tested on {tests}, but {row.name!r} is on {list(row.tests)}."
            )
        for test, summary in row.tests.items():
            if not 0 <= summary.mean <= 1:
                raise ValueError(
                    f"an accuracy lies between 0 and 1, but that of {row.name!r} on {test!r} is "
                    f"{summary.mean}."
                )
    return names, kinds, tests


def _draw_dumbbell(axes: Axes, row: Accuracy, y: float, lane: float, order: int) -> None:
    """The test sets of one row, each a little lower than the one before: whiskers may overlap."""
    color, fill = _TRAIN_STYLES[order]
    means = [100 * summary.mean for summary in row.tests.values()]
    heights = y + 0.28 * lane * (np.arange(len(means)) - (len(means) - 1) / 2)
    axes.plot(means, heights, color=color, linewidth=1.0, alpha=0.4, zorder=1)
    for i, (test, summary) in enumerate(row.tests.items()):
        interval = summary.interval()
        if interval is not None:
            ends, at = 100 * np.clip(interval, 0, 1), [heights[i]] * 2
            axes.plot(ends, at, "|-", color=color, markersize=3.5, linewidth=1.1, zorder=2)
        label = f"{row.name}, {row.train_data}, {test}"
        style = _marker(color, fill, _TEST_MARKERS[i])
        axes.plot(means[i], heights[i], label=label, zorder=3, **style)


def _marker(color: str, fill: str, marker: str, linestyle: str = "none") -> dict[str, Any]:
    return {
        "color": color,
        "linestyle": linestyle,
        "marker": marker,
        "markersize": 4.6,
        "fillstyle": "full" if fill == "none" else fill,
        "markerfacecolor": "white" if fill == "none" else color,
        "markerfacecoloralt": "white",
        "markeredgewidth": 1.0,
    }


def _accuracy_legend(
    kinds: list[str], tests: list[str], chance: bool
) -> tuple[list[Line2D], list[Line2D]]:
    trained = [
        Line2D([], [], label=f"trained on {kind}", **_marker(*style, "o", "-"))
        for kind, style in zip(kinds, _TRAIN_STYLES, strict=False)
    ]
    tested = [
        Line2D([], [], label=f"tested on {test}", **_marker(GREY, "full", marker))
        for test, marker in zip(tests, _TEST_MARKERS, strict=False)
    ]
    if chance:
        tested.append(Line2D([], [], label="chance", **_CHANCE_LINE))
    return trained, tested
