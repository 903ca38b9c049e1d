"""Equivariance error of any function.

A function f commutes with a transformation (is equivariant) if `f(g x) = g f(x)`, where g may act
differently on inputs and on outputs; f is any function: of jax, of NumPy, a flax.nnx module. What
jax cannot trace is called with NumPy arrays, uncompiled.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import TraceContextError

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


def relative_error(actual: Any, expected: Any, reference: Any) -> jax.Array:
    """Relative error `||actual - expected|| / ||reference||`, Euclidean over all entries; 0 if
    equal.

    Arrays, or trees of arrays of one structure.
    """
    difference = _norm(jax.tree.map(lambda one, other: one - other, actual, expected))
    return jnp.where(difference == 0, 0.0, difference / _norm(reference))


def _norm(tree: Any) -> jax.Array:
    norms = [jnp.linalg.norm(leaf.ravel()) for leaf in jax.tree.leaves(tree)]
    return norms[0] if len(norms) == 1 else jnp.linalg.norm(jnp.array(norms))


def equivariance_error(
    f: Callable[[jax.Array], Any], g_in: Function, g_out: Callable[[Any], Any], x: jax.Array
) -> jax.Array:
    """Equivariance error `||f(g x) - g f(x)|| / ||f(x)||`: 0 equivariant, sqrt(2) unrelated.

    The transformation acts as `g_in` on x and as `g_out` on f(x), an array or a tree of arrays.
    """
    actual, expected = equivariance_pair(f, g_in, g_out, x)
    return relative_error(actual, expected, f(x))


def assert_equivariant(
    f: Function, g_in: Function, g_out: Function, x: jax.Array, *, tolerance: float = EXACT
) -> None:
    """Raise AssertionError, with the error and where it is largest, unless `f(g x) = g f(x)`.

    Raises:
      ValueError: f returns no array; of a tree of arrays, choose one.
    """
    actual, expected = map(one_array, equivariance_pair(f, g_in, g_out, x))
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
        `[batch, *out_space, channels]` or `[batch, channels]`. It is compiled once as long as it is
        the same object, with whatever it holds: what changes belongs to `arguments`. What jax
        cannot trace, and a flax.nnx module, is called with NumPy arrays.
      x: `[batch, *space, channels]`.
      *arguments: passed to f after the images, as arguments of the compiled function: other
        parameters of equal shapes compile nothing anew if f is the same object.
      chunk: number of shifts in a call.

    Raises:
      ValueError: f returns something else.
    """
    x = jnp.asarray(x)
    space = x.shape[1:-1]
    shifts = np.array(list(np.ndindex(*space)), np.int32)
    chunk = min(chunk, len(shifts))
    padded = np.concatenate([shifts, shifts[: -len(shifts) % chunk]])
    compute = compiled_or_called(f, _outputs, called)

    def errors(shifts: np.ndarray) -> Any:
        outputs = compute(_shifted(x, shifts), *arguments)
        return jax.device_get(_errors_of_outputs(outputs, shifts, x.shape))

    parts = [errors(padded[first : first + chunk]) for first in range(0, len(padded), chunk)]
    return jax.tree.map(
        lambda *errors: np.concatenate(errors)[: len(shifts)].reshape(space), *parts
    )


# Three programs, of which only that of f is compiled anew for another function.


@functools.partial(jax.jit, static_argnums=0)
def _outputs(f, images, *arguments):
    return arrays(f(images, *arguments))


@jax.jit
def _shifted(x: jax.Array, shifts: jax.Array) -> jax.Array:
    """The images and, after them, the images at every shift, in one batch."""
    moved = jax.vmap(lambda each: shift(x, each))(shifts)
    # With the unshifted images, so that there is one function to compile.
    return jnp.concatenate([x[None], moved]).reshape(-1, *x.shape[1:])


@functools.partial(jax.jit, static_argnums=2)
def _errors_of_outputs(outputs: Any, shifts: jax.Array, shape: tuple[int, ...]) -> Any:
    """Errors at every shift, from the outputs for `_shifted` images of this shape."""
    count, (batch, *space, _) = 1 + len(shifts), shape

    def errors(z: jax.Array) -> jax.Array:
        if z.ndim < 2 or len(z) != count * batch:
            raise ValueError(
                f"the outputs of `f` must be [batch, channels] or [batch, *out_space, channels], "
                f"got shape {z.shape} for a batch of {count * batch}."
            )
        z = z.reshape(count, batch, *z.shape[1:])
        return jax.vmap(
            lambda one, each: relative_error(one, translate_output(z[0], each, space), z[0])
        )(z[1:], shifts)

    return jax.tree.map(errors, outputs)


# Any function: what jax cannot trace is called


def compiled_or_called(
    f: Callable[..., Any], compiled: Callable[..., Any], plain: Callable[..., Any]
) -> Callable[..., Any]:
    """`compiled(f, ...)`, or `plain(f, ...)` if jax cannot trace f, or f has a state of its own.

    A flax.nnx module is the same object before and after it is trained, so that what was compiled
    before would be taken after.
    """
    # By name, because flax.nnx takes long to import.
    bases = type(getattr(f, "__self__", f)).__mro__
    traceable = not any(base.__module__.startswith("flax.nnx") for base in bases)

    def compute(*arguments: Any) -> Any:
        nonlocal traceable
        if traceable:
            try:
                return compiled(f, *arguments)
            # All errors of jax for functions that it cannot trace are of the first two classes.
            except (TypeError, IndexError, TraceContextError):
                traceable = False
        return plain(f, *arguments)

    return compute


def called(f: Callable[..., Any], images: jax.Array, *arguments: Any) -> Any:
    """Output of a function that jax cannot trace, for NumPy images of its own; as jax arrays."""
    return jax.tree.map(jnp.asarray, arrays(f(np.array(images), *arguments)))


def arrays(output: Any) -> Any:
    """The output of a function; a ValueError unless it is an array or a tree of arrays."""
    leaves = jax.tree.leaves(output)
    if not leaves or not all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves):
        raise ValueError(f"`f` must return an array or a tree of arrays, got {output!r}.")
    return output


def one_array(output: Any) -> Any:
    """The output of a function; a ValueError unless it is one array."""
    if not (hasattr(output, "shape") and hasattr(output, "dtype")):
        raise ValueError(
            f"`f` must return one array, got {type(output).__name__}: choose an array, as in "
            "`lambda x: f(x)[0]`."
        )
    return output


_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def of_derivatives(measure: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let a measure say in a sentence which functions jax can differentiate.

    Raises:
      ValueError: of the measure, when it is given another one.
    """

    @functools.wraps(measure)
    def explained(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return measure(*args, **kwargs)
        except TraceContextError as error:
            raise ValueError(
                "`f` must not change its state where it is differentiated: give for a flax.nnx "
                "module `graph, state = nnx.split(module)` and "
                "`lambda x: nnx.merge(graph, state, copy=True)(x)`."
            ) from error
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            raise ValueError(
                "`f` must consist of jax operations to be differentiated, got a function that "
                "needs the values themselves, as those of NumPy do; `equivariance_error` and "
                "`errors_over_shifts` take any function."
            ) from error

    return explained
