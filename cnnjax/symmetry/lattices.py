"""Lattices of translations with which a function commutes, and equivariance errors on and off a
lattice."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.equivariance import (
    EXACT,
    Function,
    called,
    compiled_or_called,
    errors_over_shifts,
    one_array,
)


def lattice_of_errors(errors: np.ndarray, tolerance: float = EXACT) -> tuple[int, ...]:
    """Smallest step on each axis all of whose multiples have at most the error `tolerance`.

    Takes the errors `[*space]` at all circular shifts, from `errors_over_shifts`; returns steps in
    input positions, the size of an axis where only the zero shift is exact.

    Raises:
      ValueError: not even the zero shift is exact.
    """
    if not (still := float(errors.flat[0])) <= tolerance:
        raise ValueError(
            f"`errors` must be zero at the zero shift, got {still:.2g}: the function is random, "
            "not finite, or its examples interact."
        )
    steps = []
    for axis, size in enumerate(errors.shape):
        line = errors[(0,) * axis + (slice(None),) + (0,) * (errors.ndim - axis - 1)]
        exact = line <= tolerance
        divisors = (step for step in range(1, size + 1) if size % step == 0)
        steps.append(next(step for step in divisors if exact[::step].all()))
    return tuple(steps)


def on_lattice(space: Sequence[int], lattice: Sequence[int]) -> np.ndarray:
    """Mask `[*space]` of the shifts that are multiples of the lattice's steps on every axis."""
    shifts = np.indices(tuple(space))
    return np.all([shift % step == 0 for shift, step in zip(shifts, lattice, strict=True)], axis=0)


def translation_lattice(
    f: Function, shape: Sequence[int], *, tolerance: float = EXACT
) -> tuple[int, ...]:
    """Smallest steps of the translations that a function commutes with, measured over noise.

    In input positions; the size of an axis where only the zero shift is exact.

    Args:
      f: from `[batch, *space, channels]` to an array or a tree of arrays, see `errors_over_shifts`;
        of several arrays, each must commute.
      shape: shape of the input, with batch and channels.
      tolerance: largest relative error that counts as zero.

    Raises:
      ValueError: f returns something else, or not even the zero shift is exact.
    """
    x = np.random.default_rng(0).normal(size=tuple(shape)).astype(np.float32)
    errors = jax.tree.leaves(errors_over_shifts(f, x))
    return lattice_of_errors(functools.reduce(np.maximum, errors), tolerance)


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
        noise = np.random.default_rng((seed, number)).normal(size=tuple(shape))
        x = jnp.asarray(noise, jnp.float32)
        lattices.append(lattice_of_errors(errors_over_shifts(layer, x, *arguments), tolerance))
        output = compiled_or_called(layer, jax.eval_shape, called)(x, *arguments)
        shape = one_array(output).shape
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
