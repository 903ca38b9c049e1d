"""How far a function is from commuting with a transformation, and with which it commutes.

A function f commutes with a transformation (is equivariant) if `f(g x) = g f(x)`, where g may act
on inputs and on outputs in different ways. Nothing here knows what f is.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.transformations import fourier_shift, shift

Function = Callable[[jax.Array], jax.Array]

INDEPENDENT = math.sqrt(2)
"""The equivariance error of outputs that have nothing to do with each other: equal norms, at right
angles."""

EXACT = 1e-5
"""Errors up to this count as zero: float32 rounding through a dozen layers."""


def equivariance_pair(
    f: Function, g_in: Function, g_out: Function, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Both ways round: `(f(g_in(x)), g_out(f(x)))`, equal if f is equivariant."""
    return f(g_in(x)), g_out(f(x))


def paired(
    actions: Sequence[Function], actions_out: Sequence[Function]
) -> list[tuple[Function, Function]]:
    """What each of several transformations does to x, with what it does to f(x).

    Raises:
      ValueError: no actions, or not as many on the output as on the input.
    """
    if not actions or len(actions) != len(actions_out):
        raise ValueError(
            f"each action on x needs one on f(x), got {len(actions)} and {len(actions_out)}."
        )
    return list(zip(actions, actions_out, strict=True))


def relative_error(actual: jax.Array, expected: jax.Array, reference: jax.Array) -> jax.Array:
    """`||actual - expected|| / ||reference||`, Euclidean over everything; 0 where all is zero."""
    difference = jnp.linalg.norm((actual - expected).ravel())
    size = jnp.linalg.norm(reference.ravel())
    return jnp.where(difference == 0, 0.0, difference / size)


def equivariance_error(f: Function, g_in: Function, g_out: Function, x: jax.Array) -> jax.Array:
    """`||f(g x) - g f(x)|| / ||f(x)||`: 0 exactly equivariant, sqrt(2) unrelated."""
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
    """What a shift of the input does to an output of another size, or of no space at all.

    Args:
      z: `[batch, *out_space, channels]`, or `[batch, channels]`, which a shift leaves alone.
      shifts: `[axes]` integers, input positions.
      space: sizes of the input's spatial axes.

    Returns:
      z moved by `shifts * out_space / space`: whole moves exactly, others by Fourier interpolation.
    """
    out_space = z.shape[1:-1]
    if not out_space:
        return z
    if len(out_space) != len(space):
        raise ValueError(
            f"an input with {len(space)} spatial axes {tuple(space)} has no shift that acts on an "
            f"output of shape {z.shape}; its spatial axes must be as many, or none."
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
    """The equivariance error of f at every circular shift of its input.

        error[m] = ||f(S_m x) - S_m f(x)|| / ||f(x)||,    norms over the whole batch

    Outputs smaller than the input move by the same fraction of their size, between positions by
    Fourier interpolation; outputs without space (logits) must stay as they are: their error is a
    lack of invariance.

    Args:
      f: from `[batch, *space, channels]` to an array or a tree of arrays, each
        `[batch, *out_space, channels]` or `[batch, channels]`; must be traceable by jax.
      x: `[batch, *space, channels]`.
      *arguments: handed to f after the images, as arguments of the compiled function: call with
        other parameters of equal shapes, and nothing is compiled anew if f is the same object.
      chunk: shifts to a call.

    Returns:
      As f's output, each array replaced by its errors, NumPy float32 `[*space]`.
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
    # With the images where they are, so that there is one function to compile.
    outputs = f(jnp.concatenate([x[None], moved]).reshape(-1, *x.shape[1:]), *arguments)

    def errors(z: jax.Array) -> jax.Array:
        z = z.reshape(1 + len(shifts), len(x), *z.shape[1:])
        return jax.vmap(
            lambda one, each: relative_error(one, translate_output(z[0], each, space), z[0])
        )(z[1:], shifts)

    return jax.tree.map(errors, outputs)


def lattice_of_errors(errors: np.ndarray, tolerance: float = EXACT) -> tuple[int, ...]:
    """The smallest step on each axis whose every multiple has no error.

    Args:
      errors: `[*space]`, error at each circular shift, as `errors_over_shifts` gives it.
      tolerance: largest error that counts as none.

    Returns:
      A step an axis, in input positions; the axis' size: only the zero shift is exact.

    Raises:
      ValueError: not even the zero shift is exact.
    """
    if not (still := float(errors.flat[0])) <= tolerance:
        raise ValueError(
            f"the function differs from itself without any shift, by {still:.2g}: it is random, "
            "not finite, or its examples see each other."
        )
    steps = []
    for axis, size in enumerate(errors.shape):
        line = errors[(0,) * axis + (slice(None),) + (0,) * (errors.ndim - axis - 1)]
        exact = line <= tolerance
        steps.append(
            next(
                step
                for step in itertools.chain(range(1, size), [size])
                if size % step == 0 and exact[::step].all()
            )
        )
    return tuple(steps)


def on_lattice(space: Sequence[int], lattice: Sequence[int]) -> np.ndarray:
    """Booleans `[*space]`: which shifts are multiples of the lattice's steps on every axis."""
    shifts = np.indices(tuple(space))
    return np.all([shift % step == 0 for shift, step in zip(shifts, lattice, strict=True)], axis=0)


def translation_lattice(
    f: Function, shape: Sequence[int], *, seed: int = 0, tolerance: float = EXACT
) -> tuple[int, ...]:
    """The translations a function commutes with, measured over all circular shifts of noise.

    Args:
      f: from `[batch, *space, channels]` to `[batch, *out_space, channels]` or `[batch, channels]`.
      shape: of the input, batch and channels included.
      seed: of the Gaussian noise that f is measured on.
      tolerance: largest relative error that counts as none.

    Returns:
      The smallest step on each axis, in input positions; the axis' size: only the zero shift.
    """
    x = jax.random.normal(jax.random.key(seed), tuple(shape))
    return lattice_of_errors(errors_over_shifts(f, x), tolerance)
