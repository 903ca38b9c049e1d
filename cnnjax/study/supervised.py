"""A classifier trained for every seed, and all that a report says of it."""

import re
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.inspect import multiply_adds, parameter_count
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.study.classification import Classification, train_network
from cnnjax.study.predictions import judged, predictions


def train_and_judge(
    task: Classification, model: linen.Module, seeds: Sequence[int], record: Record
) -> dict[str, Any]:
    """Train a network for each seed, evaluate it, and gather what `report.train` shows.

    Returns:
      The results, plain values and arrays; confusions and mistakes are those of the first seed.

    Raises:
      InputError: the network makes no logits of the images.
    """
    task.check(model)
    training = task.compile(model)
    state = task.initial(training, seeds[0])
    cost = multiply_adds(model.apply, state.variables, jnp.zeros((1, *task.shape)))
    measured = [_measured(task, model, training, seed, record) for seed in seeds]
    lines = record.read_metrics()
    test = task.dataset.test
    mistakes = measured[0]["mistakes"]
    return {
        "model": type(model).__name__,
        "data": task.dataset.name,
        "class_names": task.dataset.class_names,
        "classes": task.dataset.num_classes,
        "image_shape": task.shape,
        "train_examples": len(task.dataset.train),
        "test_examples": len(test),
        "steps": task.train.steps,
        "batch_size": task.train.batch_size,
        "seeds": tuple(seeds),
        "params": parameter_count(state.params),
        "multiply_adds": cost,
        **{name: summarize([each[name] for each in measured]) for name in ("accuracy", "loss")},
        "top5": None
        if measured[0]["top5"] is None
        else summarize([each["top5"] for each in measured]),
        "images_per_second": max((m["images_per_second"] or 0.0) for m in measured) or None,
        "confusion": measured[0]["confusion"],
        "mistakes": [
            {**each, "image": test.read(np.array([each["example"]]))[0][0]} for each in mistakes
        ],
        "curves": {f"seed {seed}": _curves(lines, f"seed {seed}") for seed in seeds},
    }


def _measured(
    task: Classification, model: linen.Module, training: Any, seed: int, record: Record
) -> dict[str, Any]:
    name = f"seed {seed}"
    measured = record.part(name)
    if measured is None:
        print(f"\n{name}", flush=True)
        fit = train_network(
            task,
            training,
            seed,
            name,
            record,
            look=lambda state: _scores(task, training, state),
        )
        measured = {
            **judged(*predictions(task, model, fit.state)),
            "images_per_second": fit.images_per_second,
        }
        record.write_part(name, measured)
    return measured


def _scores(task: Classification, training: Any, state: Any) -> dict[str, float]:
    found = task.evaluate(training, state)
    return {name: found[name] for name in ("loss", "accuracy")}


def _curves(lines: Sequence[dict[str, Any]], network: str) -> dict[str, Any]:
    """What a network's lines of metrics.jsonl say, by quantity: steps and values."""
    curves: dict[str, Any] = {}
    for line in lines:
        if line.get("network") != network:
            continue
        for name, value in line.items():
            if re.fullmatch(r"(eval_)?(loss|accuracy)", name):
                curve = curves.setdefault(name, {"steps": [], "values": []})
                curve["steps"].append(line["step"])
                curve["values"].append(value)
    return curves
