"""Equivariance of each layer while networks trained: which layer loses what, and when."""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from cnnjax.report.figures.lines import line_panels
from cnnjax.report.findings import groups_in_words
from cnnjax.report.page import Block, Figure, Heading
from cnnjax.report.table import (
    MISSING,
    Table,
    counted,
    format_number,
    format_summary,
    listed,
    over_seeds,
)
from cnnjax.run.cells import Cell
from cnnjax.run.config import read_json
from cnnjax.run.files import file_name
from cnnjax.run.metrics import LayerCurves
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize

OUTPUT = "network output"
"""What the network itself is called among its layers."""

_MOST_LINES = 16
"""Layers in one panel; of a network with more, only those outside of blocks are drawn."""
_SMALL = 1e-3
"""Errors below are drawn on a linear scale, so that zeros are seen."""
_UNRELATED = math.sqrt(2)

_Condition = tuple[list[str], list[Cell], dict[str, tuple[list[int], dict[str, np.ndarray]]]]
"""Words for its factors, its networks, and their errors, see `over_networks`."""


def equivariance_blocks(logged: Mapping[str, LayerCurves], record: Record) -> list[Block]:
    """A figure for each condition of a run, and a table of all.

    A panel for each transformation shows the error of each layer against the training step, mean
    over seeds; the table holds the errors at the first and the last step that were logged.

    Args:
      logged: the errors of each network, from `logged_errors`.
      record: of the run, whose networks these are.
    """
    found = Observations.read(record.directory)
    conditions: list[_Condition] = []
    for words, group in groups_in_words(found, ()):
        cells = [cell for cell in group.cells if cell.name in logged]
        if cells:
            conditions.append((words, cells, over_networks([logged[cell.name] for cell in cells])))
    blocks: list[Block] = [Heading("Equivariance while training")]
    for number, (words, cells, errors) in enumerate(conditions):
        panels = {
            transformation_in_words(transformation): {
                layer or OUTPUT: layers[layer].mean(0) for layer in _drawn(layers)
            }
            for transformation, (_, layers) in errors.items()
        }
        steps = next(iter(errors.values()))[0]
        name = f" of {', '.join(words)}" if words else ""
        blocks.append(
            Figure(
                "equivariance_while_training" + (f"_{number + 1}" if len(conditions) > 1 else ""),
                line_panels(
                    panels,
                    steps,
                    "steps",
                    y_label="equivariance error",
                    limits=(-_SMALL / 5, 3),
                    linear_below=_SMALL,
                    reference=_UNRELATED,
                    markers=".",
                ),
                f"Equivariance error of the output of each layer{name} against the training step, "
                f"{_images(record, cells[0])}; {_seeds(len(cells))}. 0 is equivariant, the dashed "
                f"line, the square root of 2, unrelated; the scale is linear below {_SMALL}.",
            )
        )
    return [*blocks, _table(conditions, found.conditions)]


def over_networks(
    networks: Sequence[LayerCurves],
) -> dict[str, tuple[list[int], dict[str, np.ndarray]]]:
    """Steps that all networks logged, and errors `[networks, steps]` by transformation and layer.

    An error that was not finite is NaN.
    """
    found = {}
    for transformation, layers in networks[0].items():
        curves = {
            layer: [
                dict(zip(curve["steps"], curve["values"], strict=True))
                for curve in (errors[transformation][layer] for errors in networks)
            ]
            for layer in layers
        }
        every = [curve for of_layer in curves.values() for curve in of_layer]
        steps = [step for step in every[0] if all(step in curve for curve in every)]
        found[transformation] = (
            steps,
            {
                layer: np.array([[curve[step] for step in steps] for curve in some], float)
                for layer, some in curves.items()
            },
        )
    return found


def transformation_in_words(name: str) -> str:
    """'shift by 4 pixels' for 'shift4', and so on."""
    shift = re.fullmatch(r"shift(\d+)", name)
    if shift:
        return f"shift by {shift[1]} {'pixel' if shift[1] == '1' else 'pixels'}"
    known = {
        "rotate90": "90-degree rotation",
        "rotate180": "180-degree rotation",
        "flip": "left-right flip",
    }
    return known.get(name, name)


def _drawn(layers: Mapping[str, np.ndarray]) -> list[str]:
    """The layers of a panel: all, or where they are many those outside of blocks."""
    if len(layers) <= _MOST_LINES:
        return list(layers)
    return [layer for layer in layers if "/" not in layer]


def _images(record: Record, cell: Cell) -> str:
    """On which images the errors of a network were measured."""
    network = read_json(record.directory / "networks" / f"{file_name(cell.name)}.json")
    said = network["equivariance"]
    return f"on the first {counted(said['images'], said['split'] + ' image')}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"mean over {count} seeds"


def _table(conditions: Sequence[_Condition], factors: Sequence[str]) -> Table:
    """Errors of each layer before and after training."""
    names = list(dict.fromkeys(name for _, _, errors in conditions for name in errors))
    rows, ends, seeds = [], set(), set()
    for words, cells, errors in conditions:
        seeds.add(len(cells))
        for layer in dict.fromkeys(layer for _, layers in errors.values() for layer in layers):
            row = [*words, layer or OUTPUT]
            for name in names:
                steps, layers = errors.get(name, ([], {}))
                ends |= {(steps[0], steps[-1])} if steps else set()
                row += [_error(layers, layer, end) for end in (0, -1)]
            rows.append(row)
    first, last = (listed(sorted({f"{end[at]:,}" for end in ends})) for at in (0, 1))
    headings = [
        f"{transformation_in_words(name)}, {when}" for name in names for when in ("before", "after")
    ]
    counts = over_seeds(max(seeds))
    return Table(
        [*(factor.replace("_", " ") for factor in factors), "layer", *headings],
        rows,
        caption="Equivariance error of the output of each layer before training and after: at step "
        f"{first} and step {last}. {counts[0].upper()}{counts[1:]}.",
    )


def _error(layers: Mapping[str, np.ndarray], layer: str, at: int) -> str:
    """The error of a layer at one step, over networks."""
    if layer not in layers or not layers[layer].size:
        return MISSING
    errors = layers[layer][:, at]
    if not np.isfinite(errors).all():
        return format_number(math.nan)
    return format_summary(summarize(errors))
