"""The lines of metrics.jsonl, and the learning curves and equivariance errors in them.

A line with equivariance errors has a column for each transformation and layer, such as
`equivariance.shift4.Block_0/Conv_1`; `equivariance.shift4` is that of the network's output.
"""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cnnjax.run.config import (
    CheckedConfig,
    Counted,
    Distinct,
    InputError,
    Positive,
    Requirement,
    to_json,
)

QUANTITIES = ("loss", "accuracy", "total_loss", "learning_rate")
"""What training logs of a step that is drawn as a curve."""

Transformation = Annotated[
    str,
    Requirement(
        lambda name: bool(re.fullmatch(r"shift[1-9]\d*|rotate90|rotate180|flip", name)),
        "shiftN, such as shift4, rotate90, rotate180 or flip",
    ),
]

TrackerName = Literal["tensorboard", "wandb"]
Tracker = Callable[[int, str, Mapping[str, float]], None]
"""Takes a step, the name of the network, and numbers of that step by name, see `trackers`."""

LayerCurves = dict[str, dict[str, dict[str, list]]]
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
    """Images measured on: the first ones of the validation images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every == 0:
            for field in dataclasses.fields(self):
                if getattr(self, field.name) != field.default:
                    raise ValueError(
                        f"--equivariance.{field.name} is given without --equivariance.every."
                    )


def metrics_line(step: int, values: Mapping[str, Any]) -> bytes:
    """A line of step, wall_time (Unix seconds), and the values; what is not finite is null.

    Raises:
      ValueError: a value of the name of another.
    """
    if reserved := {"step", "wall_time"} & set(values):
        raise ValueError(f"{reserved.pop()!r} cannot be the name of a metric.")
    line = {"step": step, "wall_time": round(time.time(), 3), **values}
    text = json.dumps(to_json(line, "metrics", null_if_not_finite=True), allow_nan=False)
    return f"{text}\n".encode()


def metrics_of(directory: Path) -> list[dict[str, Any]]:
    """All lines of a run's metrics.jsonl, oldest first; none where it has no such file.

    Raises:
      InputError: a line is not what `metrics_line` wrote.
    """
    file = directory / "metrics.jsonl"
    if not file.exists():
        return []
    found = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            values = json.loads(line)
            if not isinstance(values, dict) or not isinstance(values.get("step"), int):
                raise ValueError("no object with a number 'step'")
        except ValueError as error:
            raise InputError(
                f"Line {number} of {file} must be a line of metrics, got "
                f"{line[:40].decode(errors='replace')!r} ({error}): delete the line."
            ) from error
        found.append(values)
    return found


def learning_curves(
    metrics: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, dict[str, list]]]:
    """Steps and values of each of `QUANTITIES`, and of its evaluations, by network.

    Returns:
      `{network: {"loss": {"steps": [...], "values": [...]}, "eval_loss": ...}}`.
    """
    names = [f"{prefix}{quantity}" for quantity in QUANTITIES for prefix in ("", "eval_")]
    curves: dict[str, dict[str, dict[str, list]]] = {}
    for line in metrics:
        network = curves.setdefault(line["network"], {})
        for name in names:
            if name in line:
                curve = network.setdefault(name, {"steps": [], "values": []})
                curve["steps"].append(line["step"])
                curve["values"].append(line[name])
    return curves


def column(transformation: str, layer: str) -> str:
    """The name under which a line of metrics.jsonl holds the error of a layer, '' the network."""
    return ".".join(filter(None, ["equivariance", transformation, layer]))


def logged_errors(metrics: Sequence[Mapping[str, Any]]) -> dict[str, LayerCurves]:
    """Steps and errors in the lines of metrics.jsonl, by network, transformation and layer.

    An error that was not finite is None. Networks of which none was logged are left out.
    """
    found: dict[str, LayerCurves] = {}
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
