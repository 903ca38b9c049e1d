"""Transformations of the values of images, `[*leading, height, width, channels]`."""

import jax


def brightness(x: jax.Array, amount: float | jax.Array) -> jax.Array:
    """Add `amount` to every value."""
    return x + amount


def contrast(x: jax.Array, factor: float | jax.Array) -> jax.Array:
    """Multiply every value's distance from its image's mean: by 1 changes nothing, by 0 is grey.

    (g x)[p, c] = mean + factor (x[p, c] - mean),    the mean over space and channels
    """
    mean = x.mean(axis=(-3, -2, -1), keepdims=True)
    return mean + factor * (x - mean)
