"""Batches assembled inside the compiled step: from a data set that every device holds whole, or
from images that come with the batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax.train.parallel import Prepare
from cnnjax.train.state import AUGMENTATION, TrainState, example_keys

Augment = Callable[[jax.Array, jax.Array, dict[str, Any]], jax.Array]


def augmented(augment: Augment, *, deterministic: bool = False) -> Prepare:
    """Take the examples of a batch, and augment each with a key of its own.

    Args:
      augment: `augment(images, keys, source)` makes the network's input from uint8 images
        `[batch, height, width, channels]` and typed keys `[batch]`; other entries of `source`, such
        as the largest translation, may differ from call to call without recompilation.
      deterministic: for evaluation: the key of an example depends on its position alone, not on the
        seed and the step of the state.

    Returns:
      `prepare` of `compile_training`: for batches with 'position' and either 'index', of 'images'
      and 'labels' in the source, or 'image' and 'label', and any other entries.
    """

    def prepare(source, batch, state: TrainState):
        if deterministic:
            state = state.replace(seed=jnp.zeros_like(state.seed), step=jnp.zeros_like(state.step))
        if "index" in batch:
            images, labels = (source[name][batch["index"]] for name in ("images", "labels"))
            batch = {**batch, "image": images, "label": labels}
        keys = example_keys(state, AUGMENTATION, batch["position"])
        return {**batch, "image": augment(batch["image"], keys, source)}

    return prepare
