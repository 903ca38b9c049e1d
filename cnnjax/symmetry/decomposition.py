"""What each layer of a chain adds to the Lie derivative of the whole, and how they combine."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from cnnjax.symmetry.lie_derivatives import Action, layer_terms, lie_derivative, term_products


class Decomposition(NamedTuple):
    """The Lie derivative L of a chain f, and its terms T_i; Euclidean norms over all entries."""

    derivative: jax.Array
    """Size of the derivative, |L| / |f(x)|."""
    coherence: jax.Array
    """|L| / sqrt(sum over i of |T_i|^2): 1 if the terms are orthogonal, less if they cancel."""
    remainder: jax.Array
    """|sum over i of T_i - L| / |L|: 0 but for rounding."""
    terms: jax.Array
    """Sizes of the terms, |T_i| / |f(x)|, `[layers]`."""
    shares: jax.Array
    """Shares of the layers, |T_i|^2 / sum over j of |T_j|^2, `[layers]`, blind to cancellation."""
    products: jax.Array
    """Inner products of the terms, <T_i, T_j> / |sum of the terms|^2, `[layers, layers]`, see
    `term_products`; rounding where the derivative is."""


def lie_decomposition(
    layers: Sequence[Callable[[jax.Array], jax.Array]],
    x: jax.Array,
    actions: Sequence[Action],
    *,
    rounding: float = 1e-3,
) -> Decomposition:
    """Sizes of the terms of `layer_terms` and of their sum, the Lie derivative of the chain.

    Source: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance,
    2022, section 4.

    Args:
      layers: f_1 to f_n, applied in this order.
      x: input of the first.
      actions: actions on x and on the output of each layer, one more than layers.
      rounding: derivative, relative to f(x), below which the remainder is relative to this instead.

    Raises:
      ValueError: another number of actions.
    """
    terms = layer_terms(layers, x, actions)

    def chain(x: jax.Array) -> jax.Array:
        return functools.reduce(lambda x, layer: layer(x), layers, x)

    whole = lie_derivative(chain, x, actions[0], actions[-1])
    size, length = jnp.linalg.norm(chain(x)), jnp.linalg.norm(whole)
    sizes = jnp.stack([jnp.linalg.norm(term) for term in terms])
    total = jnp.maximum(jnp.linalg.norm(sizes), jnp.finfo(sizes.dtype).tiny)
    return Decomposition(
        derivative=length / size,
        coherence=length / total,
        remainder=jnp.linalg.norm(sum(terms) - whole) / jnp.maximum(length, rounding * size),
        terms=sizes / size,
        shares=(sizes / total) ** 2,
        products=term_products(terms),
    )
