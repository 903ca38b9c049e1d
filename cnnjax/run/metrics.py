"""The lines of metrics.jsonl, and the learning curves in them."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.config import to_json

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
    """All lines of a run's metrics.jsonl, oldest first; none where it has no such file."""
    file = directory / "metrics.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


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
