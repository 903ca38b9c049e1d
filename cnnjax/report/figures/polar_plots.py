"""Curves over the angles of a circle."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import DOUBLE_COLUMN, color_of, styled


@styled
def polar(
    panels: Mapping[str, np.ndarray], angles: np.ndarray, *, highest: float = 1.05, columns: int = 4
) -> Figure:
    """Panels of closed curves over angles, such as the share of images that each detector wins.

    Args:
      panels: for each title `[angles, curves]`; the curve of a number has the colour `color_of` it.
      angles: in degrees, evenly over the circle, counter-clockwise.
      highest: radius of the plots.
      columns: panels to a row.
    """
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.15 * lines))
    grid = figure.subplots(
        lines, columns, squeeze=False, subplot_kw={"projection": "polar"}
    ).ravel()
    closed = np.deg2rad(np.append(angles, angles[0] + 360.0))
    for axes, (title, curves) in zip(grid, panels.items(), strict=False):
        for number, curve in enumerate(np.concatenate([curves, curves[:1]]).T):
            axes.plot(closed, curve, color=color_of(number), linewidth=1.1)
            axes.fill(closed, curve, color=color_of(number), alpha=0.12, linewidth=0)
        axes.set_title(title, pad=4)
        axes.set_ylim(0, highest)
        axes.set_yticks([highest / 2.1, highest / 1.05], labels=[])
        axes.set_xticks(np.deg2rad([0, 90, 180, 270]), labels=["0°", "90°", "180°", "270°"])
        axes.tick_params(pad=-2)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure
