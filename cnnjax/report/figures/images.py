"""Images side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import DOUBLE_COLUMN, styled


@styled
def image_grid(
    panels: Mapping[str, Any] | Sequence[tuple[str, Any]],
    *,
    columns: int = 5,
    signed: bool = False,
) -> Figure:
    """Images with their titles, each over its own range of values.

    Args:
      panels: for each title `[height, width]`, or `[height, width, 1]`, or `[height, width, 3]`
        with values from 0 to 255; in pairs where titles repeat.
      columns: images to a row.
      signed: draw zero white, negative values blue and positive ones red.

    Raises:
      ValueError: no images.
    """
    if not panels:
        raise ValueError("panels must be at least one image, got none.")
    pairs = list(panels.items() if isinstance(panels, Mapping) else panels)
    columns = min(columns, len(pairs))
    lines = -(-len(pairs) // columns)
    first = np.asarray(pairs[0][1])
    width = DOUBLE_COLUMN / columns
    titles = 0.2 * max(title.count("\n") + 1 for title, _ in pairs)
    figure = Figure(
        figsize=(DOUBLE_COLUMN, lines * (width * first.shape[0] / first.shape[1] + titles))
    )
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, (title, image) in zip(grid, pairs, strict=False):
        image = np.asarray(image)
        image = image[..., 0] if image.shape[2:] == (1,) else image
        axes.set_title(title, pad=3)
        if image.ndim == 3:
            axes.imshow(image.astype(np.uint8))
        elif signed:
            largest = max(np.abs(image).max(), 1e-12)
            axes.imshow(image, cmap="RdBu_r", vmin=-largest, vmax=largest)
        else:
            axes.imshow(image, cmap="gray")
    return figure
