"""An audit in pictures: which transformations are exact, layer by layer and size by size.

Results are those of `symmetry.audit.audit_results`, with `image_shape` of the images added.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from cnnjax.report.figures.style import BLACK, DOUBLE_COLUMN, styled

SHIFTS = ("shift down", "shift right")
"""Kinds of shifts, by how their names begin."""
MOST_ROWS = 60
"""Layers that are drawn, at most."""
EXACT, PERMUTED, PARTLY, LOST, UNDEFINED = range(5)
_COLORS = {
    "exact": "#7cc8ab",
    "exact, permuted": "#b9dff0",
    "some shifts exact: smallest step": "#f5dc9c",
    "lost: error": "#f0b9a0",
    "not defined": "#ededed",
}


@styled
def audit_layers(results: Mapping[str, Any]) -> Figure:
    """Layers by transformations: from the image on the left, alone on the right.

    The first layer that loses a transformation of the image is framed.

    Args:
      results: with 'stages', 'breaks' and 'image_shape'.
    """
    stages = shown_stages(results["stages"])
    columns = [*SHIFTS, *rotations_and_flips(results)]
    figure = Figure(figsize=(DOUBLE_COLUMN, 1.5 + 0.2 * len(stages)))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, kind in ((left, "from_image"), (right, "alone")):
        cells = []
        for stage in stages:
            space = results["image_shape"] if axes is left else stage["input_shape"][1:3]
            cells.append([_cell(stage[kind], space, name) for name in columns])
        _matrix(axes, cells)
        axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    left.set_title("from the image")
    right.set_title("alone, from its own input")
    rows = [stage["path"] or "network" for stage in stages]
    left.set_yticks(range(len(rows)), [r if len(r) <= 34 else f"…{r[-33:]}" for r in rows])
    places = {stage["path"]: row for row, stage in enumerate(stages)}
    for at in results["breaks"]:
        if at["kept"] or at["functions"] or at["path"] not in places:
            continue
        column = next(c for c, name in enumerate(columns) if at["transformation"].startswith(name))
        corner = column - 0.5, places[at["path"]] - 0.5
        left.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=BLACK, linewidth=1.3, clip_on=False)
        )
    _legend(figure)
    return figure


@styled
def audit_sizes(results: Mapping[str, Any]) -> Figure:
    """Transformations by image sizes, for the network's output.

    Args:
      results: with 'sizes' and 'breaks'.
    """
    rows, names = results["sizes"], [*SHIFTS, *rotations_and_flips(results)]
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.2))
    axes = figure.subplots()
    found = [(None if row["problem"] else row, (row["size"],) * 2) for row in rows]
    cells = [[_cell(*each, name) for each in found] for name in names]
    _matrix(axes, cells, numbers=len(rows) <= 24)
    axes.set_yticks(range(len(names)), names)
    step = -(-len(rows) // 30)
    axes.set_xticks(range(0, len(rows), step), [row["size"] for row in rows[::step]])
    axes.set_xlabel("height and width of the image (pixels)")
    _legend(figure)
    return figure


def rotations_and_flips(results: Mapping[str, Any]) -> list[str]:
    """Names of the rotations and flips that are defined for the images."""
    names = [at["transformation"] for at in results["breaks"]]
    return [name for name in names if not name.startswith(SHIFTS)]


def shown_stages(stages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the figure: all calls, or of many those whose arguments determine their symmetry."""
    stages = [stage for stage in stages if stage["from_image"]]
    if len(stages) <= MOST_ROWS:
        return stages
    chosen = [stage for stage in stages[:-1] if stage["attributes"] and stage["innermost"]]
    return [*chosen[: MOST_ROWS - 1], stages[-1]]


def _cell(found: Any, space: Sequence[int], name: str) -> tuple[int, str]:
    """Colour of a cell, and what is written in it."""
    if found is None:
        return UNDEFINED, ""
    if name in SHIFTS:
        axis = SHIFTS.index(name)
        step = found["lattice"][axis]
        state = EXACT if step == 1 else LOST if step >= space[axis] else PARTLY
        if state != LOST:
            permuted = f"{name} by {step}" in found["reordered"]
            return (PERMUTED if state == EXACT and permuted else state), str(step)
        error = found["errors"].get(f"{name} by 1")
        return state, "" if error is None else _short(error)
    if name not in found["errors"]:
        return UNDEFINED, ""
    if name in found["kept"]:
        return (PERMUTED if name in found["reordered"] else EXACT), ""
    return LOST, _short(found["errors"][name])


def _short(error: float) -> str:
    return f"{error:.1f}" if error >= 0.95 else f"{error:.2f}" if error >= 0.01 else f"{error:.0e}"


def _matrix(axes: Axes, cells: list[list[tuple[int, str]]], numbers: bool = True) -> None:
    states = np.array([[state for state, _ in row] for row in cells])
    axes.imshow(states, cmap=ListedColormap(list(_COLORS.values())), vmin=0, vmax=4, aspect="auto")
    for row, column in np.ndindex(*states.shape):
        if numbers:
            axes.text(column, row, cells[row][column][1], ha="center", va="center", fontsize=6)
    axes.set_xticks(np.arange(-0.5, states.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, states.shape[0]), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _legend(figure: Figure) -> None:
    handles = [Patch(color=color, label=label) for label, color in _COLORS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, handlelength=1.2)
