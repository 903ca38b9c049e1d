"""The figures of an audit: layers, or image sizes, against transformations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from cnnjax.report.style import BLACK, DOUBLE_COLUMN, styled

Results = Mapping[str, Any]

TURNS = ("90-degree rotation", "180-degree rotation", "left-right flip", "up-down flip")
_MOST_ROWS = 60
_KEPT, _REORDERED, _PARTLY, _LOST, _UNKNOWN = range(5)
_COLOURS = ("#7cc8ab", "#b9dff0", "#f5dc9c", "#f0b9a0", "#ededed")
_MEANINGS = (
    "kept",
    "kept, in another order",
    "some shifts kept: smallest step",
    "lost: error",
    "not defined",
)


@styled
def layers_figure(results: Results) -> Figure:
    """Layers by transformations: from the image on the left, alone on the right."""
    stages = shown_stages(results)
    rows = [stage["path"] or "network" for stage in stages]
    size = results["size"]
    canvas = Figure(figsize=(DOUBLE_COLUMN, 1.5 + 0.2 * len(rows)))
    left, right = canvas.subplots(1, 2, sharey=True)
    columns = ("shift down", "shift right", *TURNS)
    for axes, kind in ((left, "from_image"), (right, "alone")):
        spaces = [(size, size) if axes is left else stage["input_shape"][1:3] for stage in stages]
        each = [(stage[kind], space) for stage, space in zip(stages, spaces, strict=True)]
        _matrix(axes, [[_cell(*one, name) for name in columns] for one in each])
    left.set_title("from the image")
    right.set_title("alone, from its own input")
    left.set_yticks(range(len(rows)), [_shortened(row) for row in rows])
    for axes in (left, right):
        axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    for row, column in _first_places(results, stages, columns):
        corner = column - 0.5, row - 0.5
        left.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=BLACK, linewidth=1.3, clip_on=False)
        )
    _legend(canvas)
    return canvas


@styled
def sizes_figure(results: Results) -> Figure:
    """Transformations by image sizes, for the network's output."""
    rows = results["sizes"]
    names = ("shift down", "shift right", *TURNS)
    canvas = Figure(figsize=(DOUBLE_COLUMN, 2.2))
    axes = canvas.subplots()
    answers = [(None if row["problem"] else row, (row["size"],) * 2) for row in rows]
    cells = [[_cell(*answer, name) for answer in answers] for name in names]
    _matrix(axes, cells, numbers=len(rows) <= 24)
    axes.set_yticks(range(len(names)), names)
    step = -(-len(rows) // 30)
    axes.set_xticks(range(0, len(rows), step), [row["size"] for row in rows[::step]])
    axes.set_xlabel("height and width of the image (pixels)")
    _legend(canvas)
    return canvas


def _cell(answer: Any, space: Sequence[int], name: str) -> tuple[int, str]:
    """The colour of a cell and what it says."""
    if answer is None:
        return _UNKNOWN, ""
    if name.startswith("shift"):
        axis = 0 if name == "shift down" else 1
        step = answer["lattice"][axis]
        state = _KEPT if step == 1 else _LOST if step >= space[axis] else _PARTLY
        if state != _LOST:
            moved = f"{name} by {step}" in answer["reordered"]
            return (_REORDERED if state == _KEPT and moved else state), str(step)
        one = answer["errors"].get(f"{name} by 1")
        return state, "" if one is None else _short(one)
    if name not in answer["errors"]:
        return _UNKNOWN, ""
    if name in answer["kept"]:
        return (_REORDERED if name in answer["reordered"] else _KEPT), ""
    return _LOST, _short(answer["errors"][name])


def _short(error: float) -> str:
    return f"{error:.1f}" if error >= 0.95 else f"{error:.2f}" if error >= 0.01 else f"{error:.0e}"


def _matrix(axes: Any, cells: list[list[tuple[int, str]]], numbers: bool = True) -> None:
    states = np.array([[state for state, _ in row] for row in cells])
    axes.imshow(states, cmap=ListedColormap(_COLOURS), vmin=0, vmax=4, aspect="auto")
    for row, column in np.ndindex(*states.shape):
        if numbers:
            axes.text(column, row, cells[row][column][1], ha="center", va="center", fontsize=6)
    axes.set_xticks(np.arange(-0.5, states.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, states.shape[0]), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _legend(canvas: Figure) -> None:
    handles = [Patch(color=colour, label=label) for colour, label in zip(_COLOURS, _MEANINGS)]
    canvas.legend(handles=handles, loc="outside upper center", ncols=5, handlelength=1.2)


def shown_stages(results: Results) -> list[Mapping[str, Any]]:
    """The rows of the matrix: all calls, or of many only those whose arguments bear on symmetry."""
    stages = [stage for stage in results["stages"] if stage["from_image"]]
    if len(stages) <= _MOST_ROWS:
        return stages
    return [stage for stage in stages[:-1] if stage["attributes"] and stage["innermost"]][
        : _MOST_ROWS - 1
    ] + stages[-1:]


def _first_places(
    results: Results, stages: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> list[tuple[int, int]]:
    """Row and column of the first layer that loses each transformation: of shifts, any shift."""
    rows = {stage["path"]: row for row, stage in enumerate(stages)}
    places = set()
    for at in results["breaks"]:
        if at["kept"] or at["functions"] or at["path"] not in rows:
            continue
        column = next(c for c, name in enumerate(columns) if at["transformation"].startswith(name))
        places.add((rows[at["path"]], column))
    return sorted(places)


def _shortened(path: str, longest: int = 34) -> str:
    return path if len(path) <= longest else "…" + path[1 - longest :]
