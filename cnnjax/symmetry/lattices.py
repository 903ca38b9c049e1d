"""Lattices of the layers of a chain, and equivariance errors on and off a lattice."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from cnnjax.symmetry.equivariance import EXACT, errors_over_shifts, lattice_of_errors, on_lattice


def layer_lattices(
    layers: Sequence[Callable[..., jax.Array]],
    shape: Sequence[int],
    *arguments: Any,
    seed: int = 0,
    tolerance: float = EXACT,
) -> list[tuple[int, ...]]:
    """Translations that each layer of a chain commutes with alone, whatever the layers below keep.

    Measured on Gaussian noise of the shape of the layer's own input, over all circular shifts.

    Args:
      layers: functions `f(x, *arguments)`, each of what has the shape of the output of the one
        before: `[batch, *space, channels]`; the last may return `[batch, channels]`.
      shape: shape of the first input, with batch and channels.
      *arguments: of every layer, such as the variables of a network, see `errors_over_shifts`.
      seed: seed of the noise.
      tolerance: largest relative error that counts as zero.

    Returns:
      For each layer the smallest step on each axis, in positions of its own input; the size of the
      axis: only the zero shift.
    """
    lattices = []
    for number, layer in enumerate(layers):
        key = jax.random.fold_in(jax.random.key(seed), number)
        x = jax.random.normal(key, tuple(shape))
        lattices.append(lattice_of_errors(errors_over_shifts(layer, x, *arguments), tolerance))
        shape = jax.eval_shape(layer, x, *arguments).shape
    return lattices


def errors_by_lattice(errors: np.ndarray, lattice: Sequence[int]) -> tuple[float, float | None]:
    """Largest equivariance error on a lattice of shifts, and mean error off it.

    Args:
      errors: `[*space]`, the error at each circular shift, from `errors_over_shifts`; or, with
        leading axes, such as of seeds, that of several functions.
      lattice: the smallest step on each axis.

    Returns:
      Both, over all functions; the second is None where every shift is on the lattice.

    Raises:
      ValueError: fewer axes than the lattice has steps.
    """
    if errors.ndim < len(lattice):
        raise ValueError(
            f"`errors` must have an axis for each step of {tuple(lattice)}, got shape "
            f"{errors.shape}."
        )
    exact = on_lattice(errors.shape[errors.ndim - len(lattice) :], lattice)
    off = None if exact.all() else float(errors[..., ~exact].mean())
    return float(errors[..., exact].max()), off
