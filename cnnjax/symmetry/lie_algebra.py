"""Linear motions of the input under which a function is invariant, from its derivatives."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Function = Callable[[jax.Array], jax.Array]


class Generators(NamedTuple):
    """Generators of motions, ordered by how much they change the function, least first."""

    matrices: jax.Array
    """`[d^2, d, d]`, orthonormal."""
    changes: jax.Array
    """`[d^2]`, increasing: root mean square of `gradient . (matrix x)`, the change of the function
    along each; zero for a symmetry."""


def invariant_generators(f: Function, x: jax.Array) -> Generators:
    """Generators A of one-parameter groups exp(t A) that leave a function of vectors unchanged.

        f(exp(t A) x) = f(x) for all t  <=>  grad f(x) . A x = 0 for all x

    which is linear in A: the right singular vectors of the matrix with rows `grad f(x_i) x_i^T`.
    Source: Moskalev, Sepliarskaia, Sosnovik, Smeulders, LieGG: studying learned Lie group
    generators, 2022, section 4 (network polarisation matrix).

    Args:
      f: from vectors `[batch, d]` to `[batch]` or `[batch, outputs]`; every output counts.
      x: `[batch, d]`, at least d^2 samples of the inputs of interest.

    Raises:
      ValueError: x of another rank, or fewer outputs over all examples than generators.
    """
    if x.ndim != 2:
        raise ValueError(f"`x` must be [batch, d], got shape {x.shape}.")
    gradients = _gradients(f, x)
    rows = jnp.einsum("boi,bj->boij", gradients, x).reshape(-1, x.shape[1] ** 2)
    return _least_changing(rows, x.shape[1])


def invariant_plane_motions(f: Function, images: jax.Array) -> Generators:
    """Generators of linear motions of the plane, about the centre, that leave a function unchanged.

        d/dt f(x(exp(-t A) p)) = - sum over p of grad f(x)[p] . grad x(p) . A p

    Image gradients by central differences, one-sided at the border. In (down, right) coordinates
    rotation is [[0, -1], [1, 0]] / sqrt(2), scaling the identity / sqrt(2).
    Source: Moskalev et al., 2022, section 4.2.

    Args:
      f: from `[batch, height, width, channels]` to `[batch]` or `[batch, outputs]`.
      images: smooth images `[batch, height, width, channels]`.

    Raises:
      ValueError: images of another rank, or too few outputs for four generators.
    """
    if images.ndim != 4:
        raise ValueError(
            f"`images` must be [batch, height, width, channels], got shape {images.shape}."
        )
    gradients = _gradients(f, images)
    slopes = jnp.stack(jnp.gradient(images, axis=(1, 2)), -1)
    places = [jnp.arange(size) - (size - 1) / 2 for size in images.shape[1:3]]
    grid = jnp.stack(jnp.meshgrid(*places, indexing="ij"), -1).astype(images.dtype)
    rows = -jnp.einsum("bohwc,bhwci,hwj->boij", gradients, slopes, grid)
    return _least_changing(rows.reshape(-1, 4), 2)


def _gradients(f: Function, x: jax.Array) -> jax.Array:
    """Gradients of every output with respect to its own example, `[batch, outputs,
    *x.shape[1:]]`."""

    def one(example):
        return f(example[None])[0].reshape(-1)

    return jax.vmap(jax.jacrev(one))(x)


def _least_changing(rows: jax.Array, size: int) -> Generators:
    if len(rows) < size**2:
        raise ValueError(
            f"outputs over all examples must be at least {size**2}, one for each generator, got "
            f"{len(rows)}."
        )
    _, values, vectors = jnp.linalg.svd(rows, full_matrices=False)
    changes = values / jnp.sqrt(len(rows))
    return Generators(vectors[::-1].reshape(-1, size, size), changes[::-1])
