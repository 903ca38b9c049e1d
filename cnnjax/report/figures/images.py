"""Images side by side, and a confusion matrix."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import DOUBLE_COLUMN, color_of, panel_grid, styled

_NUMBERED = 20
"""Most classes of a confusion matrix with numbers."""


@styled
def image_grid(
    panels: Mapping[str, Any] | Sequence[tuple[str, Any]], *, columns: int = 5, signed: bool = False
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
    height, width = np.shape(pairs[0][1])[:2]
    titles = 0.2 * max(title.count("\n") + 1 for title, _ in pairs)

    def size(rows: int, columns: int) -> tuple[float, float]:
        return DOUBLE_COLUMN, rows * (DOUBLE_COLUMN / columns * height / width + titles)

    figure, grid = panel_grid(len(pairs), columns, size)
    for axes, (title, image) in zip(grid.flat, pairs, strict=False):
        axes.set_axis_off()
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


@styled
def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """The percentage of each true class by predicted class, with numbers for up to 20 classes.

    Args:
      counts: numbers of images `[true, predicted]`.
      names: of the classes.
    """
    percent = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.6))
    axes = figure.subplots()
    picture = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    if len(names) <= _NUMBERED:
        for row, column in np.argwhere(counts > 0):
            axes.text(
                column,
                row,
                f"{percent[row, column]:.0f}",
                ha="center",
                va="center",
                color="white" if percent[row, column] > 60 else "black",
            )
        axes.set_xticks(range(len(names)), labels=names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), labels=names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    figure.colorbar(picture, ax=axes, label="images of the true class (%)", shrink=0.8)
    return figure


@styled
def image_rows(
    rows: Mapping[str, Sequence[Any] | np.ndarray],
    *,
    signed: bool = False,
    limits: tuple[float, float] | None = None,
    framed: bool = False,
) -> Figure:
    """Images in rows, the name of each row at its left.

    Args:
      rows: for each name images `[height, width]`; None leaves a place empty. Rows may differ in
        length.
      signed: draw zero white, negative values blue and positive ones red, each row over its own
        range.
      limits: values that are drawn black and white; by default each image has its own range.
      framed: frame each image in the colour of its place in the row, `color_of` it.

    Raises:
      ValueError: no images.
    """
    if not any(image is not None for images in rows.values() for image in images):
        raise ValueError(f"rows must have at least one image, got {dict(rows)}.")
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(DOUBLE_COLUMN, 0.72 * len(rows) + 0.1))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    colors = "RdBu_r" if signed else "gray"
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        line[0].text(-0.15, 0.5, name, ha="right", va="center", transform=line[0].transAxes)
        if signed:
            largest = max((np.abs(image).max() for image in images if image is not None), default=1)
            limits = (-max(largest, 1e-12), max(largest, 1e-12))
        for place, (axes, image) in enumerate(zip(line, images, strict=False)):
            if image is None:
                continue
            low, high = limits or (None, None)
            axes.imshow(np.asarray(image), cmap=colors, vmin=low, vmax=high)
            if framed:
                axes.set_axis_on()
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set(visible=True, color=color_of(place), linewidth=1.6)
    return figure
