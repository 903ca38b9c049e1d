"""Pictures of detectors that compete: who wins at which angle, what they look like, how well they
do."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cnnjax.report.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    styled,
)

_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, "#56b4e9", "#cc79a7", "#f0e442", BLACK)


def color_of(detector: int) -> str:
    """The colour of a detector by its number; they repeat after eight."""
    return _COLORS[detector % len(_COLORS)]


@styled
def which_fires(shares: Mapping[str, np.ndarray], angles: np.ndarray) -> Figure:
    """Polar plots, four to a row: the share of images that each detector wins at each angle.

    Args:
      shares: for each panel's title, `[angles, detectors]`.
      angles: in degrees, evenly over the circle, counter-clockwise.
    """
    columns = min(4, max(1, len(shares)))
    lines = -(-len(shares) // columns)
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.15 * lines))
    grid = figure.subplots(
        lines, columns, squeeze=False, subplot_kw={"projection": "polar"}
    ).ravel()
    turns = np.deg2rad(np.append(angles, 360.0))
    for axes, (title, panel) in zip(grid, shares.items(), strict=False):
        for detector, wins in enumerate(np.concatenate([panel, panel[:1]]).T):
            color = color_of(detector)
            axes.plot(turns, wins, color=color, linewidth=1.1)
            axes.fill(turns, wins, color=color, alpha=0.12, linewidth=0)
        axes.set_title(title, pad=4)
        axes.set_ylim(0, 1.05)
        axes.set_yticks([0.5, 1], labels=[])
        axes.set_xticks(np.deg2rad([0, 90, 180, 270]), labels=["0°", "90°", "180°", "270°"])
        axes.tick_params(pad=-2)
    for axes in grid[len(shares) :]:
        axes.set_visible(False)
    return figure


@styled
def learned_filters(filters: Mapping[str, np.ndarray]) -> Figure:
    """Filters as images, a row for each network, framed in the colours of their detectors.

    Args:
      filters: for each row's title, `[detectors, height, width]`.
    """
    columns = max(len(row) for row in filters.values())
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.72 * len(filters) + 0.1))
    grid = figure.subplots(len(filters), columns + 2, squeeze=False)
    for line, (title, row) in zip(grid, filters.items(), strict=True):
        for axes in line:
            axes.set_axis_off()
        line[0].text(0, 0.5, title, va="center", transform=line[0].transAxes)
        largest = np.abs(row).max()
        for detector, (axes, image) in enumerate(zip(line[2:], row, strict=False)):
            axes.set_axis_on()
            axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set(visible=True, color=color_of(detector), linewidth=1.6)
    return figure


_LINES = ("-", (0, (4, 1.2)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)))


@styled
def accuracy_against_angle(
    curves: Mapping[str, Mapping[str, np.ndarray]], angles: np.ndarray, chance: float
) -> Figure:
    """Accuracy against angle: a panel for each kind of training data, a curve for each network.

    Args:
      curves: for each panel, for each network, `[angles]`; every panel has the same networks.
      angles: in degrees, evenly over the circle.
      chance: accuracy of guessing.
    """
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.9))
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    turns = np.append(angles, 360.0)
    handles: list[Any] = []
    for axes, (data, networks) in zip(panels, curves.items(), strict=True):
        handles = []
        for number, (name, curve) in enumerate(networks.items()):
            look: dict[str, Any] = {
                "color": color_of(number),
                "linestyle": _LINES[number // len(_COLORS) + number % 2],
                "linewidth": 1.2,
            }
            axes.plot(turns, 100 * np.append(curve, curve[:1]), **look)
            handles.append(Line2D([], [], label=name, **look))
        axes.axhline(100 * chance, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
        axes.set_title(f"trained on {data} digits")
        axes.set_xlim(0, 360)
        axes.set_xticks(range(0, 361, 90), labels=[f"{angle}°" for angle in range(0, 361, 90)])
        axes.set_xlabel("digits turned by")
        axes.grid()
    panels[0].set_ylabel("accuracy (%)")
    panels[0].set_ylim(0, 102)
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure
