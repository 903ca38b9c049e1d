"""Connections of a layer and which of them share a weight, as a diagram and as a matrix."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cnnjax.report.figures.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    ORANGE,
    SINGLE_COLUMN,
    VERMILLION,
    styled,
)

_PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, "#cc79a7", "#56b4e9", BLACK, "#b8a900")
_FADED = "#dcdcdc"
_RADIUS = 0.3
_HEIGHT = 1.7


def weight_colors(count: int) -> list[str]:
    """A color for each of `count` weights: easy to tell apart for up to 8, distinct beyond."""
    if count <= len(_PALETTE):
        return list(_PALETTE[:count])
    places = 0.04 + 0.92 * (np.arange(count) * 0.618 % 1)  # neighbours far apart
    return [to_hex(colormaps["turbo"](place)) for place in places]


@styled
def connection_diagram(labels: np.ndarray) -> Figure:
    """Units as circles and weights as lines: all, those of one input, and those of one output.

    After Goodfellow, Bengio, Courville, Deep Learning, 2016, figures 9.2, 9.3, 9.5 and 9.16.

    Args:
      labels: `[outputs, inputs]`, the weight of each connection: equal labels are one weight, -1 is
        no connection; from `inspect.sharing_pattern`.
    """
    outputs, inputs = labels.shape
    columns = max(outputs, inputs)
    width = max(4.4, min(DOUBLE_COLUMN, 0.5 * columns))
    figure = Figure(figsize=(width, 3 * (width / columns * (_HEIGHT + 0.8) + 0.3)))
    middle = inputs // 2, outputs // 2
    below = labels[:, middle[0]] >= 0
    above = labels[middle[1]] >= 0
    titles = (
        f"all connections, one colour for each weight: {labels.max() + 1} weights, "
        f"{(labels >= 0).sum()} connections",
        f"input x{subscript(middle[0])} affects {below.sum()} of {outputs} outputs",
        f"output z{subscript(middle[1])} depends on {above.sum()} of {inputs} inputs",
    )
    output, read = np.indices(labels.shape)
    shown = (output >= 0, read == middle[0], output == middle[1])
    for axes, title, bright in zip(figure.subplots(3, 1), titles, shown, strict=True):
        _draw_units(axes, labels, bright, columns)
        axes.set_title(title, loc="left")
    return figure


@styled
def sharing_matrix(labels: np.ndarray) -> Figure:
    """The matrix of a layer: white where it is zero, elsewhere one colour for each weight.

    Args:
      labels: as of `connection_diagram`.
    """
    figure = Figure(figsize=(SINGLE_COLUMN, 2.9))
    axes = figure.subplots()
    colors = ListedColormap(["white", *weight_colors(int(labels.max()) + 1)])
    axes.imshow(labels + 1, cmap=colors, vmin=0, vmax=labels.max() + 1, interpolation="none")
    outputs, inputs = labels.shape
    axes.set_xticks(range(inputs), [f"x{subscript(place)}" for place in range(inputs)])
    axes.set_yticks(range(outputs), [f"z{subscript(place)}" for place in range(outputs)])
    axes.set_xticks(np.arange(inputs + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(outputs + 1) - 0.5, minor=True)
    axes.grid(which="minor")
    axes.tick_params(which="both", length=0)
    axes.set_axisbelow(False)
    return figure


def subscript(number: int) -> str:
    """The number in subscript digits."""
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _draw_units(axes: Axes, labels: np.ndarray, bright: np.ndarray, columns: int) -> None:
    outputs, inputs = labels.shape
    colors = weight_colors(int(labels.max()) + 1)
    x_of = {
        name: (np.arange(count) + 0.5) * columns / count
        for name, count in (("z", outputs), ("x", inputs))
    }
    for in_front in (False, True):
        for output, read in zip(*np.nonzero((labels >= 0) & (bright == in_front))):
            ends = [x_of["x"][read], x_of["z"][output]], [0, _HEIGHT]
            color = colors[labels[output, read]] if in_front else _FADED
            axes.plot(*ends, color=color, linewidth=1.6 if in_front else 0.8, zorder=1 + in_front)
    lit = bright & (labels >= 0)
    for name, y, seen in (("z", _HEIGHT, lit.any(1)), ("x", 0.0, lit.any(0))):
        for place, x in enumerate(x_of[name]):
            face, edge = ("#f2f2f2", BLACK) if seen[place] else ("white", GREY)
            axes.add_patch(Circle((x, y), _RADIUS, facecolor=face, edgecolor=edge, zorder=3))
            text = f"{name}{subscript(place)}"
            axes.text(x, y, text, ha="center", va="center", zorder=4, color=edge, fontsize=7.5)
    axes.set_xlim(0, columns)
    axes.set_ylim(-0.4, _HEIGHT + 0.4)
    axes.set_aspect("equal")
    axes.axis("off")
