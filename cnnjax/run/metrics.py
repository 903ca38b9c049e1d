"""The lines of metrics.jsonl, and the learning curves in them."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.config import InputError, to_json

QUANTITIES = ("loss", "accuracy", "total_loss", "learning_rate")
"""What training logs of a step that is drawn as a curve."""


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
