"""Linear equivalence of two representations: maps from one to the other, fitted and tested.

Representations are arrays `[examples, ...]`. A map is fitted on some examples and evaluated on
others by

    R^2 = 1 - sum ||b - predicted b||^2 / sum ||b - mean b||^2

1: b is a linear function of a; 0 or below: no better than the mean of b.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class LinearMap(NamedTuple):
    """`b = a @ matrix + offset`, over the last axis."""

    matrix: jax.Array
    """`[in, out]`."""
    offset: jax.Array
    """`[out]`."""

    def __call__(self, a: jax.Array) -> jax.Array:
        """Map `[..., in]` to `[..., out]`."""
        return jnp.tensordot(a, self.matrix, 1) + jnp.expand_dims(self.offset, range(a.ndim - 1))


def fit_linear_map(a: jax.Array, b: jax.Array, ridge: float = 0.0) -> LinearMap:
    """Linear map from a to b with the least squared error.

        min over M, o of sum ||b - a M - o||^2 + ridge n ||M||^2,    n the number of rows

    A full map between vectors `[examples, features]`; between feature maps `[examples, *space,
    channels]` one 1 x 1 convolution for all positions, so that a geometric transformation has to be
    applied first: compare f(g x) with the map of g f(x), or of f(x) where there is no space.
    Source: Lenc & Vedaldi, Understanding image representations by measuring their equivariance and
    equivalence, 2015, section 3.

    Args:
      a: `[examples, ..., in]`.
      b: `[examples, ..., out]`, with the same axes but the last.
      ridge: strength of regularisation, at least 0.

    Raises:
      ValueError: shapes that do not match, or a negative ridge.
    """
    if a.shape[:-1] != b.shape[:-1] or a.ndim < 2:
        raise ValueError(
            f"`a` and `b` must agree in all axes but the last, got {a.shape} and {b.shape}."
        )
    if ridge < 0:
        raise ValueError(f"`ridge` must be at least 0, got {ridge!r}.")
    rows, targets = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    centre, target_centre = rows.mean(0), targets.mean(0)
    rows, targets = rows - centre[None], targets - target_centre[None]
    if ridge:
        # Ridge as additional rows: better conditioned than the normal equations.
        more = jnp.sqrt(ridge * len(rows)) * jnp.eye(rows.shape[1], dtype=rows.dtype)
        rows = jnp.concatenate([rows, more])
        nothing = jnp.zeros((len(more), targets.shape[1]), targets.dtype)
        targets = jnp.concatenate([targets, nothing])
    matrix = jnp.linalg.lstsq(rows, targets)[0]
    return LinearMap(matrix, target_centre - centre @ matrix)


def explained_variance(b: jax.Array, predicted: jax.Array) -> jax.Array:
    """R^2 of a prediction of b, over all features together.

        1 - sum ||b - predicted||^2 / sum ||b - mean b||^2

    Args:
      b: `[..., features]`.
      predicted: of the same shape.
    """
    rows = b.reshape(-1, b.shape[-1])
    total = jnp.sum((rows - rows.mean(0)[None]) ** 2)
    return 1 - jnp.sum((b - predicted) ** 2) / total


def linear_equivalence(
    a: jax.Array, b: jax.Array, *, train_share: float = 0.5, ridge: float = 1e-6
) -> jax.Array:
    """R^2, on held-out examples, of the best linear map from a to b.

    Not symmetric: what a holds and b does not costs nothing. The map is fitted on the first
    examples and tested on the others.
    Source: Lenc & Vedaldi, 2015, section 3 (there with the loss of a network on top).

    Args:
      a, b: as for `fit_linear_map`.
      train_share: share of the examples that the map is fitted on.
      ridge: as for `fit_linear_map`.

    Raises:
      ValueError: as `fit_linear_map`, and a share that leaves no example on either side.
    """
    count = round(train_share * len(a))
    if not 0 < count < len(a):
        raise ValueError(
            f"`train_share` must leave an example to fit and one to test of {len(a)}, got "
            f"{train_share!r}."
        )
    fitted = fit_linear_map(a[:count], b[:count], ridge)
    return explained_variance(b[count:], fitted(a[count:]))
