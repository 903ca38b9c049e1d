"""Equivariance errors of shifts, by what happens at the border, and of any list of actions."""

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
    """Errors `||f(g x) - g f(x)|| / ||f(x)||` over several transformations; `INDEPENDENT`, sqrt(2),
    is that of outputs that have nothing to do with each other."""

    each: jax.Array
    """`[transformations]`."""
    mean: jax.Array
    """Over the transformations."""
    max: jax.Array
    """Largest of them."""


def equivariance_errors(
    f: Function, actions: Sequence[Function], actions_out: Sequence[Function], x: jax.Array
) -> EquivarianceErrors:
    """The equivariance error of f under each of several transformations, such as a group's.

    Args:
      f: from x to an array.
      actions: what each does to x, such as `Group.actions()`.
      actions_out: what each does to f(x).
      x: input.

    Raises:
      ValueError: no actions, or not as many on the output as on the input.
    """
    z = f(x)
    return _summed_up(
        [
            relative_error(*equivariance_pair(f, g, g_out, x), z)
            for g, g_out in paired(actions, actions_out)
        ]
    )


def circular_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]]
) -> EquivarianceErrors:
    """Errors under circular shifts: what leaves the image enters on the other side.

    Args:
      f: from `[batch, *space, channels]` to `[batch, *out_space, channels]` or `[batch, channels]`.
      x: `[batch, *space, channels]`.
      shifts: integers, one an axis, for each error.
    """
    z, space = f(x), x.shape[1:-1]
    moved = [
        relative_error(f(shift(x, list(each))), translate_output(z, jnp.array(each), space), z)
        for each in shifts
    ]
    return _summed_up(moved)


def zero_fill_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]]
) -> EquivarianceErrors:
    """Errors under shifts that lose what leaves the image, and bring in zeros, in x and in f(x).

    A convolution with zero padding has an error here, of the border alone.

    Args:
      f: as for `circular_errors`, to an output of the input's size.
      x, shifts: as for `circular_errors`.

    Raises:
      ValueError: an output of another size.
    """
    z = _same_size(f(x), x)
    return _summed_up(
        [
            relative_error(f(shift(x, each, 0.0)), shift(z, each, 0.0), z)
            for each in map(list, shifts)
        ]
    )


def interior_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]], margin: int
) -> EquivarianceErrors:
    """Errors under shifts with zeros, where neither border can have been seen.

    Compared are the output positions that lie at least `margin` and the shift from the border.

    Args:
      f, x, shifts: as for `zero_fill_errors`.
      margin: reach of f: half of its receptive field.

    Raises:
      ValueError: an output of another size, or a margin that is negative or leaves nothing.
    """
    if margin < 0:
        raise ValueError(f"margin must be at least 0, got {margin!r}.")
    z = _same_size(f(x), x)
    errors = []
    for each in map(list, shifts):
        crop = [slice(None)]
        for move, size in zip(each, z.shape[1:-1], strict=True):
            first, last = margin + max(move, 0), size - margin + min(move, 0)
            if first >= last:
                raise ValueError(
                    f"a margin of {margin} and a shift of {move} leave nothing of {size} positions."
                )
            crop.append(slice(first, last))
        inside = tuple(crop)
        after, before = f(shift(x, each, 0.0))[inside], shift(z, each, 0.0)[inside]
        errors.append(relative_error(after, before, before))
    return _summed_up(errors)


def _same_size(z: jax.Array, x: jax.Array) -> jax.Array:
    if z.shape[1:-1] != x.shape[1:-1]:
        raise ValueError(
            f"shifts with zeros need an output of the input's size {x.shape[1:-1]}, got "
            f"{z.shape[1:-1]}."
        )
    return z


def _summed_up(errors: list[jax.Array]) -> EquivarianceErrors:
    each = jnp.stack(errors)
    return EquivarianceErrors(each, each.mean(), each.max())
