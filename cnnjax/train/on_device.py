"""Batches assembled inside the compiled step: from a data set that every device holds whole, or
from images that come with the batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax.train.parallel import Prepare
from cnnjax.train.state import AUGMENTATION, TrainState, example_keys

Augment = Callable[[jax.Array, jax.Array, dict[str, Any]], jax.Array]


def gather(augment: Augment, *, deterministic: bool = False) -> Prepare:
    """Take the examples of a batch by their index, and augment each with a key of its own.

    Args:
      augment: `augment(images, keys, source)` makes the network's input from uint8 images
        `[batch, height, width, channels]` and typed keys `[batch]`; other entries of `source`, such
        as the largest translation, may differ from call to call without recompilation.
      deterministic: for evaluation: the key of an example depends on its position alone, not on the
        seed and the step of the state.

    Returns:
      `prepare` of `compile_training`: for a source with 'images' and 'labels', and batches with
      'index' and 'position'.
    """

    def prepare(source, batch, state: TrainState):
        images, labels = (source[name][batch["index"]] for name in ("images", "labels"))
        keys = _keys(state, batch["position"], deterministic)
        return {**batch, "image": augment(images, keys, source), "label": labels}

    return prepare


def augment_batch(augment: Augment, *, deterministic: bool = False) -> Prepare:
    """Augment the images that come with a batch, each with a key of its own.

    Args:
      augment, deterministic: as for `gather`.

    Returns:
      `prepare` of `compile_training`: for batches with 'image' and 'position', and any others.
    """

    def prepare(source, batch, state: TrainState):
        keys = _keys(state, batch["position"], deterministic)
        return {**batch, "image": augment(batch["image"], keys, source)}

    return prepare


def _keys(state: TrainState, position: jax.Array, deterministic: bool) -> jax.Array:
    if deterministic:
        state = state.replace(seed=jnp.zeros_like(state.seed), step=jnp.zeros_like(state.step))
    return example_keys(state, AUGMENTATION, position)
