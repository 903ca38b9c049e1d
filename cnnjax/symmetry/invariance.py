"""How far the class a network predicts stays the same when its input is moved."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from cnnjax.symmetry.transformations import shift


def shift_consistency(
    predict: Callable[[jax.Array], jax.Array], x: jax.Array, first: jax.Array, second: jax.Array
) -> jax.Array:
    """How often two circular shifts of an image are given the same class.

        mean over images of [argmax predict(S_first x) == argmax predict(S_second x)]

    Source: Zhang, Making convolutional networks shift-invariant again, 2019, section 4.1.

    Args:
      predict: from images to logits `[batch, classes]`.
      x: `[batch, *space, channels]`.
      first, second: `[batch, axes]` integers, the two shifts of each image.

    Returns:
      A number between 0 and 1.
    """
    move = jax.vmap(shift)
    classes = [predict(move(x, shifts)).argmax(-1) for shifts in (first, second)]
    return jnp.mean(classes[0] == classes[1])
