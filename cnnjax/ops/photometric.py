"""Transformations of the values of images, `[*leading, height, width, channels]`."""

from collections.abc import Sequence

import jax


def brightness(x: jax.Array, amount: float | jax.Array) -> jax.Array:
    """Add `amount` to every value."""
    return x + amount


def contrast(
    x: jax.Array, factor: float | jax.Array, axis: Sequence[int] = (-3, -2, -1)
) -> jax.Array:
    """Multiply the distance of every value from its image's mean.

        (g x)[p, c] = mean + factor (x[p, c] - mean)

    Args:
      x: `[*leading, height, width, channels]`.
      factor: 1 changes nothing, 0 leaves the mean alone.
      axis: axes of the mean; (-3, -2) is a mean for each channel.
    """
    mean = x.mean(axis=tuple(axis), keepdims=True)
    return mean + factor * (x - mean)
