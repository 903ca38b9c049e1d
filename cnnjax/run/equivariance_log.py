"""Equivariance errors of layers in metrics.jsonl: what to measure when, and what was logged.

A line of metrics.jsonl holds a column for each transformation and layer,
`equivariance.shift4.Block_0/Conv_1`; `equivariance.shift4` is that of the network's output.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cnnjax.run.config import CheckedConfig, Counted, Distinct, Positive, Requirement

Transformation = Annotated[
    str,
    Requirement(
        lambda name: bool(re.fullmatch(r"shift[1-9]\d*|rotate90|rotate180|flip", name)),
        "shiftN, such as shift4, rotate90, rotate180 or flip",
    ),
]

Curves = dict[str, dict[str, dict[str, list]]]
"""Steps and errors by transformation and layer: `{"shift4": {"Conv_0": {"steps", "values"}}}`."""


@dataclasses.dataclass(frozen=True)
class EquivarianceLog(CheckedConfig):
    """Equivariance error of each layer, logged in metrics.jsonl while networks train."""

    every: Counted = 0
    """Steps between two measurements, beside those before the first and after the last step; 0: no
    measurement."""
    transformations: Distinct[Transformation] = ("shift1", "rotate90", "flip")
    """Transformations of the image: shiftN, circular shifts by N pixels down and to the right, of
    which the larger error counts (0 is to be expected at multiples of all strides below a layer);
    rotate90, rotate180, flip (left-right)."""
    images: Positive = 8
    """Images measured on: the first ones of the validation images, or where there are none of the
    test images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every == 0:
            for field in dataclasses.fields(self):
                if getattr(self, field.name) != field.default:
                    raise ValueError(
                        f"--equivariance.{field.name} is given without --equivariance.every."
                    )


def column(transformation: str, layer: str) -> str:
    """The name under which a line of metrics.jsonl holds the error of a layer, '' the network."""
    return ".".join(filter(None, ["equivariance", transformation, layer]))


def logged_errors(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Curves]:
    """Steps and errors in the lines of metrics.jsonl, by network, transformation and layer.

    An error that was not finite is None. Networks of which none was logged are left out.
    """
    found: dict[str, Curves] = {}
    for line in metrics:
        for name, error in line.items():
            kind, *place = name.split(".", 2)
            if kind != "equivariance" or not place:
                continue
            transformation, layer = place if len(place) == 2 else (*place, "")
            layers = found.setdefault(line["network"], {}).setdefault(transformation, {})
            curve = layers.setdefault(layer, {"steps": [], "values": []})
            curve["steps"].append(line["step"])
            curve["values"].append(error)
    return found


def results_of_log(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What results.json holds of the logged errors, in the order of the networks' names."""
    found = logged_errors(metrics)
    return {"equivariance_while_training": dict(sorted(found.items()))} if found else {}
