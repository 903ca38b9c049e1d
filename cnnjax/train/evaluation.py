"""Evaluation: loss and accuracy over a set of examples, each counted once."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from cnnjax.train.parallel import replicate, shard
from cnnjax.train.state import TrainState
from cnnjax.train.training import Training


def evaluate(
    training: Training,
    state: TrainState,
    batches: Iterable[dict[str, np.ndarray]],
    source: Any = None,
) -> dict[str, float]:
    """Weighted mean loss and accuracy over the examples of `batches`.

    Args:
      training: the compiled functions.
      state: the state to evaluate; it is not changed.
      batches: the entries that `prepare_eval` takes, or 'image' and 'label', and 'weight'
        `[batch]`: 1, or 0 for examples that pad a batch. One batch size means one compilation.
      source: where `prepare_eval` takes examples from.

    Returns:
      'loss', 'accuracy', and 'count', the sum of the weights.

    Raises:
      ValueError: all weights are 0.
    """
    state = replicate(state, training.devices)
    source = replicate(source, training.devices)
    totals = {"loss": 0.0, "correct": 0.0, "count": 0.0}
    unread = []

    def add(sums) -> None:
        for name, value in jax.device_get(sums).items():
            totals[name] += float(value)

    for batch in batches:
        unread.append(training.eval_step(state, source, shard(batch, training.devices)))
        # More than two calls in flight dead-lock virtual CPU devices.
        if len(unread) > 1:
            add(unread.pop(0))
    for sums in unread:
        add(sums)
    if totals["count"] == 0:
        raise ValueError(
            "the weights of all examples must have a positive sum, got 0: nothing to evaluate."
        )
    return {
        "loss": totals["loss"] / totals["count"],
        "accuracy": totals["correct"] / totals["count"],
        "count": totals["count"],
    }
