"""Learning curves, from the lines of metrics.jsonl."""

from collections.abc import Mapping, Sequence
from typing import Any

QUANTITIES = ("loss", "accuracy", "total_loss", "learning_rate")
"""What training logs of a step that is drawn as a curve."""


def learning_curves(
    metrics: Sequence[Mapping[str, Any]], quantities: Sequence[str] = QUANTITIES
) -> dict[str, dict[str, dict[str, list]]]:
    """Steps and values of each quantity, and of its evaluations, by network.

    Returns:
      `{network: {"loss": {"steps": [...], "values": [...]}, "eval_loss": ...}}`.
    """
    names = [f"{prefix}{quantity}" for quantity in quantities for prefix in ("", "eval_")]
    curves: dict[str, dict[str, dict[str, list]]] = {}
    for line in metrics:
        network = curves.setdefault(line["network"], {})
        for name in names:
            if name in line:
                curve = network.setdefault(name, {"steps": [], "values": []})
                curve["steps"].append(line["step"])
                curve["values"].append(line[name])
    return curves
