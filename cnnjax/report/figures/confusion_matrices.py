"""A confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import styled

_NUMBERED = 20


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
