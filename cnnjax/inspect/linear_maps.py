"""Explicit matrix of a layer, and which of its entries share a parameter."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

UNCONNECTED = -1
"""Label of an entry that is zero for all parameters."""

_ROUNDING = 1e3
"""Largest difference of values that are equal in exact arithmetic, in machine epsilons."""


def linear_map(
    function: Callable[[jax.Array], jax.Array], shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset of an affine function, from its values at zero and at the unit vectors.

        offset = f(0),    matrix[i, j] = f(e_j)[i] - f(0)[i],    f(x) = matrix x + offset

    This describes affine functions only: see `affine_error`. Returns the matrix `[outputs, inputs]`
    and the offset `[outputs]`, both axes flattened as by `ravel`.

    Args:
      function: from `[batch, *shape]` to `[batch, *out_shape]`, each example on its own.
      shape: shape of one input, `[*space, channels]`.
    """
    return _matrix_and_offset(np.asarray(function(jnp.asarray(_basis(shape, np.float32)))))


def affine_error(function: Callable[[jax.Array], jax.Array], shape: Sequence[int]) -> float:
    """Relative distance of a function from its own linear map, on Gaussian noise.

        ||f(x) - f(0) - M x|| / ||f(x) - f(0)||,    M the matrix of `linear_map`

    Rounding error for an affine function, of the order of 1 for others. Arguments as of
    `linear_map`.
    """
    basis = _basis(shape, np.float32)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    # In one batch, so that there is one function to compile.
    values = np.asarray(function(jnp.asarray(np.concatenate([basis, x]))))
    matrix, offset = _matrix_and_offset(values[: len(basis)])
    actual = values[len(basis) :].reshape(len(x), -1) - offset
    expected = x.reshape(len(x), -1) @ matrix.T
    difference = np.linalg.norm(actual - expected)
    return float(difference / np.linalg.norm(actual)) if difference else 0.0


def sharing_pattern(
    function: Callable[[jax.Array, Any], jax.Array], parameters: Any, shape: Sequence[int]
) -> np.ndarray:
    """Labels of the entries of a layer's matrix, equal for the same function of its parameters.

    Two entries have the same label if, at random parameters, their values and their derivatives in
    four random directions agree. Nothing is assumed of how the layer is computed.

    Args:
      function: from `[batch, *shape]` and parameters to `[batch, *out_shape]`, affine in the first.
      parameters: a tree of arrays, of which only the shapes are used.
      shape: shape of one input, `[*space, channels]`.

    Returns:
      Labels `[outputs, inputs]`: 0, 1, ... in the order in which they first appear, row by row;
      `UNCONNECTED` where no parameter connects them.
    """
    with jax.enable_x64(True):
        leaves, tree = jax.tree.flatten(parameters)
        noise = np.random.default_rng(0)

        def random_parameters():
            return tree.unflatten([jnp.asarray(noise.normal(size=leaf.shape)) for leaf in leaves])

        def matrix(parameters):
            return _matrix_and_offset(function(jnp.asarray(_basis(shape, float)), parameters))[0]

        @jax.jit
        def value_and_derivative(point, direction):
            return jax.jvp(matrix, (point,), (direction,))

        point = random_parameters()
        pairs = [value_and_derivative(point, random_parameters()) for _ in range(4)]
        prints = np.stack([pairs[0][0], *(derivative for _, derivative in pairs)], -1)
    largest = max(float(np.abs(prints).max()), 1e-30)
    tolerance = _ROUNDING * float(jnp.finfo(prints.dtype).eps) * largest
    connected = (np.abs(prints) > tolerance).any(-1)
    labels = np.full(connected.shape, UNCONNECTED)
    labels[connected] = _same_rows(prints[connected], tolerance)
    return labels


def sharing_rule(labels: np.ndarray, strides: int = 1) -> list[int]:
    """The kernel that each output position of a layer uses, as a number; `rule(p)` of its formula.

    Two positions p use one kernel if their rows of the matrix, each moved back by p strides, are
    the same weights in the same order. Numbers are 0, 1, ... in the order of first appearance.
    Takes labels `[outputs, inputs]`, from `sharing_pattern`, of a layer with one spatial axis, one
    channel and circular padding.
    """
    kernels = [tuple(np.roll(row, -place * strides)) for place, row in enumerate(labels)]
    numbers = {kernel: number for number, kernel in enumerate(dict.fromkeys(kernels))}
    return [numbers[kernel] for kernel in kernels]


def _basis(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Zero and the unit vectors of inputs of this shape, one batch."""
    size = math.prod(shape)
    return np.eye(size + 1, size, -1, dtype).reshape(size + 1, *shape)


def _matrix_and_offset(values: Any) -> tuple[Any, Any]:
    """Matrix and offset from the values at the `_basis`."""
    values = values.reshape(len(values), -1)
    return (values[1:] - values[:1]).T, values[0]


def _same_rows(rows: np.ndarray, tolerance: float) -> np.ndarray:
    """Labels of rows, equal for rows that agree in every column to the tolerance."""
    labels = np.zeros(len(rows), int)
    for column in rows.T:
        order = np.lexsort((column, labels))
        new = np.ones(len(rows), bool)
        new[1:] = (np.diff(labels[order]) > 0) | (np.diff(column[order]) > tolerance)
        labels[order] = np.cumsum(new) - 1
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
