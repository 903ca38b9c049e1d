"""Normalisation of responses by those of their neighbours."""

import jax
import jax.numpy as jnp

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
    channels = x.shape[-1]
    squares = jnp.pad(x * x, [(0, 0)] * (x.ndim - 1) + [(radius, radius)])
    total = squares[..., :channels]
    for shift in range(1, 2 * radius + 1):
        total = total + squares[..., shift : shift + channels]
    total = bias + alpha * total
    if beta not in (0.5, 0.75):
        return x * total**-beta
    root = jax.lax.rsqrt(total)
    return x * (root if beta == 0.5 else root * jnp.sqrt(root))
