"""Loss and accuracy over a whole set of examples, each counted once."""

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
    """Mean loss and accuracy over the examples of `batches`, each times its weight.

    Args:
      training: the compiled functions.
      state: what to evaluate; it is not changed.
      batches: each holds what `prepare_eval` takes, or 'image' and 'label', and 'weight' [b]: 1,
        and 0 for examples that only fill a batch up. One batch size means one compilation.
      source: what `prepare_eval` takes examples from.

    Returns:
      'loss', 'accuracy', and 'count', the sum of the weights.

    Raises:
      ValueError: no example has a weight.
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
        raise ValueError("There is nothing to evaluate: the weights of all examples sum to 0.")
    return {
        "loss": totals["loss"] / totals["count"],
        "accuracy": totals["correct"] / totals["count"],
        "count": totals["count"],
    }
