"""Equivariance errors under several transformations, and under shifts by their distance from the
border."""

from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from cnnjax.symmetry.equivariance import Function, equivariance_pair, one_array, relative_error
from cnnjax.symmetry.transformations import shift

Distance = Literal["relative", "l2", "cosine"]


def equivariance_errors(
    f: Function,
    actions: Sequence[Function],
    actions_out: Sequence[Function],
    x: jax.Array,
    distance: Distance = "relative",
) -> jax.Array:
    """Distance between a = f(g x) and b = g f(x) for each of several transformations.

        relative: ||a - b|| / ||f(x)||, norms over the whole batch
        l2:       mean over the batch of ||a - b||
        cosine:   mean over the batch of 1 - <a, b> / (||a|| ||b||)

    The mean over a group is its empirical equivariance deviation; for invariance let `actions_out`
    be identities. Unrelated outputs have relative error `INDEPENDENT`, that is sqrt(2), and cosine
    distance 1, as has a zero from anything else. Returns `[transformations]`.
    Source: Kvinge, Emerson, Jorgenson, Vasquez, Doster, Lew, In what ways are deep neural networks
    invariant and how should we measure this?, 2022 (l2 and cosine).

    Args:
      f: from `[batch, ...]` to `[batch, ...]`, each example on its own; of a tree of arrays
        'relative' alone is defined.
      actions: how each transformation acts on x, such as `Group.actions()`.
      actions_out: how each acts on f(x).
      x: `[batch, ...]`.
      distance: 'relative', 'l2' or 'cosine'.

    Raises:
      ValueError: another distance, no actions, different numbers of them, or an output that is no
        array.
    """
    if distance not in get_args(Distance):
        raise ValueError(f"`distance` must be 'relative', 'l2' or 'cosine', got {distance!r}.")
    if not actions or len(actions) != len(actions_out):
        raise ValueError(
            f"`actions` and `actions_out` must be equally many, at least one, got "
            f"{len(actions)} and {len(actions_out)}."
        )
    z = f(x) if distance == "relative" else one_array(f(x))
    between = {"relative": lambda a, b: relative_error(a, b, z), "l2": _l2, "cosine": _cosine}
    pairs = [equivariance_pair(f, *acts, x) for acts in zip(actions, actions_out, strict=True)]
    return jnp.stack([between[distance](*pair) for pair in pairs])


def border_errors(
    f: Function, x: jax.Array, shifts: Sequence[Sequence[int]], margin: int | None = None
) -> jax.Array:
    """Errors `||f(g x) - g f(x)|| / ||f(x)||` under shifts that fill with zeros, in x and in f(x).

    The error of a convolution with zero padding is due to the border alone: it vanishes where only
    outputs are compared whose receptive fields do not reach it. For circular shifts see
    `errors_over_shifts`. Returns `[shifts]`.

    Args:
      f: from `[batch, *space, channels]` to an output of the same space.
      x: `[batch, *space, channels]`.
      shifts: for each error an integer for each spatial axis.
      margin: half of the receptive field of f: outputs at least that and the shift away from the
        border are compared; None: all of them.

    Raises:
      ValueError: an output of another size, or a margin that is negative or leaves no position.
    """
    if margin is not None and margin < 0:
        raise ValueError(f"`margin` must be at least 0, got {margin!r}.")
    z = one_array(f(x))
    if z.shape[1:-1] != x.shape[1:-1]:
        raise ValueError(
            f"the output of `f` must have the spatial size of the input {x.shape[1:-1]}, got "
            f"{z.shape[1:-1]}."
        )
    errors = []
    for each in map(list, shifts):
        after, before = f(shift(x, each, 0.0)), shift(z, each, 0.0)
        if margin is None:
            errors.append(relative_error(after, before, z))
        else:
            inside = _inside(z.shape[1:-1], each, margin)
            errors.append(relative_error(after[inside], before[inside], before[inside]))
    return jnp.stack(errors)


def _inside(space: Sequence[int], shifts: Sequence[int], margin: int) -> tuple[slice, ...]:
    crop = [slice(None)]
    for move, size in zip(shifts, space, strict=True):
        first, last = margin + max(move, 0), size - margin + min(move, 0)
        if first >= last:
            raise ValueError(
                f"`margin` must leave some of {size} positions at a shift of {move}, got {margin}."
            )
        crop.append(slice(first, last))
    return tuple(crop)


def _l2(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.linalg.norm((a - b).reshape(len(a), -1), axis=1).mean()


def _cosine(a: jax.Array, b: jax.Array) -> jax.Array:
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    sizes = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
    alike = jnp.where(sizes > 0, (a * b).sum(1) / jnp.where(sizes > 0, sizes, 1), 0)
    # Two zeros are equal.
    return jnp.where(jnp.all(a == b, 1), 0, 1 - alike).mean()
