"""Equivariance error of any function, and the translations with which it commutes.

A function f commutes with a transformation (is equivariant) if `f(g x) = g f(x)`, where g may act
differently on inputs and on outputs; f is any function.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.transformations import fourier_shift, shift

Function = Callable[[jax.Array], jax.Array]

INDEPENDENT = math.sqrt(2)
"""Equivariance error of unrelated outputs: orthogonal, of equal norms."""

EXACT = 1e-5
"""Largest error that counts as zero: float32 rounding through a dozen layers."""


def equivariance_pair(
    f: Function, g_in: Function, g_out: Function, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Both sides of the equation: `(f(g_in(x)), g_out(f(x)))`, equal if f is equivariant."""
    return f(g_in(x)), g_out(f(x))


def relative_error(actual: jax.Array, expected: jax.Array, reference: jax.Array) -> jax.Array:
    """Relative error `||actual - expected|| / ||reference||`, Euclidean over all entries; 0 if
    equal."""
    difference = jnp.linalg.norm((actual - expected).ravel())
    size = jnp.linalg.norm(reference.ravel())
    return jnp.where(difference == 0, 0.0, difference / size)


def equivariance_error(f: Function, g_in: Function, g_out: Function, x: jax.Array) -> jax.Array:
    """Equivariance error `||f(g x) - g f(x)|| / ||f(x)||`: 0 equivariant, sqrt(2) unrelated.

    The transformation acts as `g_in` on x and as `g_out` on f(x), which is an array.
    """
    actual, expected = equivariance_pair(f, g_in, g_out, x)
    return relative_error(actual, expected, f(x))


def assert_equivariant(
    f: Function, g_in: Function, g_out: Function, x: jax.Array, *, tolerance: float = EXACT
) -> None:
    """Raise AssertionError, with the error and where it is largest, unless `f(g x) = g f(x)`."""
    actual, expected = equivariance_pair(f, g_in, g_out, x)
    if actual.shape != expected.shape:
        raise AssertionError(f"f(g x) has shape {actual.shape}, but g f(x) {expected.shape}.")
    error = float(relative_error(actual, expected, expected))
    if not error <= tolerance:
        gap = np.abs(np.asarray(actual - expected, np.float64))
        worst = tuple(int(index) for index in np.unravel_index(np.argmax(gap), gap.shape))
        raise AssertionError(
            f"not equivariant: ||f(g x) - g f(x)|| / ||f(x)|| = {error:.3g} > {tolerance:.3g}; "
            f"the largest difference is {gap[worst]:.3g}, at {worst}."
        )


def translate_output(z: jax.Array, shifts: jax.Array, space: Sequence[int]) -> jax.Array:
    """Action of a shift of the input on an output of another size, or without space.

    Shifts z by `shifts * out_space / space`: exactly if that is whole, else by Fourier
    interpolation.

    Args:
      z: `[batch, *out_space, channels]`, or `[batch, channels]`, which stays as it is.
      shifts: `[axes]` integers, in input positions.
      space: sizes of the input's spatial axes.
    """
    out_space = z.shape[1:-1]
    if not out_space:
        return z
    if len(out_space) != len(space):
        raise ValueError(
            f"`z` must have the {len(space)} spatial axes of the input {tuple(space)}, or none, "
            f"got shape {z.shape}."
        )
    scaled = [step * size for step, size in zip(shifts, out_space, strict=True)]
    whole = jnp.all(jnp.array([move % size == 0 for move, size in zip(scaled, space)]))
    exact = shift(z, [move // size for move, size in zip(scaled, space, strict=True)])
    if tuple(out_space) == tuple(space):
        return exact
    between = fourier_shift(z, [move / size for move, size in zip(scaled, space, strict=True)])
    return jnp.where(whole, exact, between)


def errors_over_shifts(
    f: Callable[..., Any], x: jax.typing.ArrayLike, *arguments: Any, chunk: int = 24
) -> Any:
    """Equivariance error of f under every circular shift of its input.

        error[m] = ||f(S_m x) - S_m f(x)|| / ||f(x)||,    norms over the whole batch

    Outputs of another size shift by the same fraction of it, between positions by Fourier
    interpolation; outputs without space (logits) should not change: their error is a lack of
    invariance. Returns f's output with each array replaced by its errors, NumPy float32 `[*space]`.

    Args:
      f: from `[batch, *space, channels]` to an array or a tree of arrays, each
        `[batch, *out_space, channels]` or `[batch, channels]`; must be traceable by jax.
      x: `[batch, *space, channels]`.
      *arguments: passed to f after the images, as arguments of the compiled function: other
        parameters of equal shapes compile nothing anew if f is the same object.
      chunk: number of shifts in a call.
    """
    x = jnp.asarray(x)
    space = x.shape[1:-1]
    shifts = np.array(list(np.ndindex(*space)), np.int32)
    chunk = min(chunk, len(shifts))
    padded = np.concatenate([shifts, shifts[: -len(shifts) % chunk]])
    parts = [
        jax.device_get(_errors_of_shifts(f, x, padded[first : first + chunk], *arguments))
        for first in range(0, len(padded), chunk)
    ]
    return jax.tree.map(
        lambda *errors: np.concatenate(errors)[: len(shifts)].reshape(space), *parts
    )


@functools.partial(jax.jit, static_argnums=0)
def _errors_of_shifts(f, x, shifts, *arguments):
    space = x.shape[1:-1]
    moved = jax.vmap(lambda each: shift(x, each))(shifts)
    # With the unshifted images, so that there is one function to compile.
    outputs = f(jnp.concatenate([x[None], moved]).reshape(-1, *x.shape[1:]), *arguments)

    def errors(z: jax.Array) -> jax.Array:
        z = z.reshape(1 + len(shifts), len(x), *z.shape[1:])
        return jax.vmap(
            lambda one, each: relative_error(one, translate_output(z[0], each, space), z[0])
        )(z[1:], shifts)

    return jax.tree.map(errors, outputs)


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
      f: from `[batch, *space, channels]` to `[batch, *out_space, channels]` or `[batch, channels]`.
      shape: shape of the input, with batch and channels.
      tolerance: largest relative error that counts as zero.
    """
    x = jax.random.normal(jax.random.key(0), tuple(shape))
    return lattice_of_errors(errors_over_shifts(f, x), tolerance)


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
