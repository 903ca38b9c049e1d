"""Normalisation of responses by those of their neighbours."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops import geometry


def local_response_normalization(
    x: jax.Array, *, radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5
) -> jax.Array:
    """Divide each response by those of the neighbouring channels at its position.

        z[c] = x[c] / (bias + alpha * sum over |c' - c| <= radius of x[c']^2)^beta

    Channels beyond the first and the last count as zero. Exponents of 0.5 and 0.75 are computed by
    square roots. Some libraries divide alpha by the window, 2 radius + 1: do so beforehand.
    Symmetry: commutes with every rearrangement of positions.
    Source: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural
    networks, 2012, section 3.3 (radius 2, bias 2, alpha 1e-4, beta 0.75).

    Args:
      x: `[..., channels]`, with any number of leading and spatial axes.
      radius: neighbours on either side.
      bias: above 0, so that nothing is divided by zero.
      alpha, beta: strength, at least 0, and exponent.

    Raises:
      ValueError: a radius, bias or alpha that cannot be, with its value.
    """
    if radius != 0:
        geometry.positive("radius", radius)
    if bias <= 0 or alpha < 0:
        raise ValueError(
            f"local_response_normalization needs bias above 0 and alpha of at least 0, got bias "
            f"{bias} and alpha {alpha}."
        )
    total = bias + alpha * _window_sums(x * x, radius)
    if beta not in (0.5, 0.75):
        return x * total**-beta
    root = lax.rsqrt(total)
    return x * (root if beta == 0.5 else root * jnp.sqrt(root))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _window_sums(x: jax.Array, radius: int) -> jax.Array:
    """For every channel, the sum of the channels within `radius`, by adding shifted copies."""
    channels = x.shape[-1]
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(radius, radius)])
    shifts = range(2 * radius + 1)
    return functools.reduce(jnp.add, (padded[..., i : i + channels] for i in shifts))


@_window_sums.defjvp
def _window_sums_jvp(radius: int, primals: tuple, tangents: tuple) -> tuple:
    """The map is linear and symmetric. XLA's CPU backend adds shifted copies faster than it reduces
    windows, but only the latter's transpose is one again: that of a slice is a padded array, and
    the sum of 2 radius + 1 of those takes 8 times as long."""
    (x,), (dx,) = primals, tangents
    around = [(0, 0)] * (x.ndim - 1) + [(radius, radius)]
    window, steps = (1,) * (x.ndim - 1) + (2 * radius + 1,), (1,) * x.ndim
    moved = lax.reduce_window(dx, np.zeros((), dx.dtype), lax.add, window, steps, around)
    return _window_sums(x, radius), moved
