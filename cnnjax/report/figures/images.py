"""Images side by side."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import DOUBLE_COLUMN, styled


@styled
def image_grid(panels: Mapping[str, Any], *, columns: int = 5, signed: bool = False) -> Figure:
    """Images with their titles, each over its own range of values.

    Args:
      panels: for each title `[height, width]`, or `[height, width, 3]` with values from 0 to 255.
      columns: images to a row.
      signed: draw zero white, negative values blue and positive ones red.

    Raises:
      ValueError: no images.
    """
    if not panels:
        raise ValueError("panels must be at least one image, got none.")
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    first = np.asarray(next(iter(panels.values())))
    width = DOUBLE_COLUMN / columns
    figure = Figure(
        figsize=(DOUBLE_COLUMN, lines * (width * first.shape[0] / first.shape[1] + 0.2))
    )
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, (title, image) in zip(grid, panels.items(), strict=False):
        image = np.asarray(image)
        axes.set_title(title, pad=3)
        if image.ndim == 3:
            axes.imshow(image.astype(np.uint8))
        elif signed:
            largest = max(np.abs(image).max(), 1e-12)
            axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
        else:
            axes.imshow(image, cmap="gray")
    return figure
