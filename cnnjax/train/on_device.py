"""Batches made inside the compiled step: from a data set that every device holds whole, or from
images that come with the batch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from cnnjax.train.parallel import Prepare
from cnnjax.train.state import AUGMENTATION, TrainState, example_keys

Augment = Callable[[jax.Array, jax.Array, dict[str, Any]], jax.Array]


def gather(augment: Augment) -> Prepare:
    """Take the examples of a batch by their index, and augment each by a key of its own.

    Args:
      augment: `augment(images, keys, source)` makes the network's input of uint8 images
        [b, height, width, channels] and typed keys [b]; what else `source` holds, say how far to
        translate, may differ from call to call without compiling again.

    Returns:
      `prepare` of `compile_training`: of a source with 'images' and 'labels', and batches with
      'index' and 'position'.
    """

    def prepare(source, batch, state: TrainState):
        images = source["images"][batch["index"]]
        keys = example_keys(state, AUGMENTATION, batch["position"])
        labels = source["labels"][batch["index"]]
        return {**batch, "image": augment(images, keys, source), "label": labels}

    return prepare


def gather_alike(augment: Augment) -> Prepare:
    """`gather` for evaluation: what a position gets is the same at every seed and step."""
    return _alike(gather(augment))


def augment_given(augment: Augment) -> Prepare:
    """Augment the images that a batch brings, each by a key of its own.

    Args:
      augment: as for `gather`.

    Returns:
      `prepare` of `compile_training`: of batches with 'image' and 'position', and whatever else.
    """

    def prepare(source, batch, state: TrainState):
        keys = example_keys(state, AUGMENTATION, batch["position"])
        return {**batch, "image": augment(batch["image"], keys, source)}

    return prepare


def augment_given_alike(augment: Augment) -> Prepare:
    """`augment_given` for evaluation: what a position gets is the same at every seed and step."""
    return _alike(augment_given(augment))


def _alike(prepare: Prepare) -> Prepare:
    def prepare_alike(source, batch, state: TrainState):
        state = state.replace(seed=jnp.zeros_like(state.seed), step=jnp.zeros_like(state.step))
        return prepare(source, batch, state)

    return prepare_alike
