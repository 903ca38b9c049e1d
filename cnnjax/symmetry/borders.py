"""Equivariance errors under several transformations; under shifts, by the treatment of the
border."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from cnnjax.symmetry.equivariance import (
    equivariance_pair,
    paired,
    relative_error,
    translate_output,
)
from cnnjax.symmetry.transformations import shift

Function = Callable[[jax.Array], jax.Array]


class EquivarianceErrors(NamedTuple):
    """Errors `||f(g x) - g f(x)|| / ||f(x)||` under several transformations; `INDEPENDENT`, that is
    sqrt(2), is the error of unrelated outputs."""

    each: jax.Array
    """`[transformations]`."""
    mean: jax.Array
    """Mean over the transformations."""
    max: jax.Array
    """Largest over the transformations."""


def equivariance_errors(
    f: Function, actions: Sequence[Function], actions_out: Sequence[Function], x: jax.Array
) -> EquivarianceErrors:
    """Equivariance error of f under each of several transformations, such as those of a group.

    Args:
      f: from x to an array.
      actions: how each acts on x, such as `Group.actions()`.
      actions_out: how each acts on f(x).
      x: input.

    Raises:
      ValueError: no actions, or different numbers of them.
    """
    z = f(x)
    return _summarised(
        [
            relative_error(*equivariance_pair(f, g, g_out, x), z)
            for g, g_out in paired(actions, actions_out)
        ]
    )


def circular_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]]
) -> EquivarianceErrors:
    """Errors under circular shifts: pixels that leave the image enter on the other side.

    Args:
      f: from `[batch, *space, channels]` to `[batch, *out_space, channels]` or `[batch, channels]`.
      x: `[batch, *space, channels]`.
      shifts: for each error an integer for each spatial axis.
    """
    z, space = f(x), x.shape[1:-1]
    moved = [
        relative_error(f(shift(x, list(each))), translate_output(z, jnp.array(each), space), z)
        for each in shifts
    ]
    return _summarised(moved)


def zero_fill_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]]
) -> EquivarianceErrors:
    """Errors under shifts that fill with zeros, in x and in f(x): pixels that leave are lost.

    The error of a convolution with zero padding is due to the border alone.

    Args:
      f: as for `circular_errors`, to an output of the input's size.
      x, shifts: as for `circular_errors`.

    Raises:
      ValueError: an output of another size.
    """
    z = _same_size(f(x), x)
    return _summarised(
        [
            relative_error(f(shift(x, each, 0.0)), shift(z, each, 0.0), z)
            for each in map(list, shifts)
        ]
    )


def interior_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]], margin: int
) -> EquivarianceErrors:
    """Errors under shifts that fill with zeros, at outputs whose receptive fields reach no border.

    Output positions at least `margin` plus the shift away from the border are compared.

    Args:
      f, x, shifts: as for `zero_fill_errors`.
      margin: half of the receptive field of f.

    Raises:
      ValueError: an output of another size, or a margin that is negative or leaves no position.
    """
    if margin < 0:
        raise ValueError(f"`margin` must be at least 0, got {margin!r}.")
    z = _same_size(f(x), x)
    errors = []
    for each in map(list, shifts):
        crop = [slice(None)]
        for move, size in zip(each, z.shape[1:-1], strict=True):
            first, last = margin + max(move, 0), size - margin + min(move, 0)
            if first >= last:
                raise ValueError(
                    f"`margin` must leave some of {size} positions at a shift of {move}, got "
                    f"{margin}."
                )
            crop.append(slice(first, last))
        inside = tuple(crop)
        after, before = f(shift(x, each, 0.0))[inside], shift(z, each, 0.0)[inside]
        errors.append(relative_error(after, before, before))
    return _summarised(errors)


def _same_size(z: jax.Array, x: jax.Array) -> jax.Array:
    if z.shape[1:-1] != x.shape[1:-1]:
        raise ValueError(
            f"the output of `f` must have the spatial size of the input {x.shape[1:-1]}, got "
            f"{z.shape[1:-1]}."
        )
    return z


def _summarised(errors: list[jax.Array]) -> EquivarianceErrors:
    each = jnp.stack(errors)
    return EquivarianceErrors(each, each.mean(), each.max())
