"""Initialisation of banks of kernels: each kernel as if it were alone."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

Initializer = Callable[[jax.Array, Sequence[int], jnp.dtype], jax.Array]


def per_kernel(initializer: Initializer, bank: Sequence[int]) -> Initializer:
    """Draw every kernel of a bank on its own, so that its fan-in is that of one window.

    `variance_scaling` takes all axes but the last two for the window: handed a whole bank of P
    kernels it starts each of them sqrt(P) too small.
    Returns an initialiser of `[*bank, *window, in, out]`.

    Args:
      initializer: of one kernel, `(key, [*window, in, out], dtype) -> array`; any.
      bank: shape of the bank, the leading axes of what is drawn.
    """
    count = math.prod(bank)

    def initialize(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
        keys = jax.random.split(key, count)
        one = tuple(shape[len(bank) :])
        kernels = jax.vmap(lambda each: initializer(each, one, dtype))(keys)
        return kernels.reshape(shape)

    return initialize


def as_matrix(initializer: Initializer, in_axes: int) -> Initializer:
    """Draw `[*in, *out]`, with `in_axes` axes in, as the matrix from all inputs to all outputs."""

    def initialize(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
        matrix = math.prod(shape[:in_axes]), math.prod(shape[in_axes:])
        return initializer(key, matrix, dtype).reshape(shape)

    return initialize
