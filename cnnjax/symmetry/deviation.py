"""Empirical equivariance deviation: mean distance between f(g x) and g f(x)."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from cnnjax.symmetry.equivariance import equivariance_pair, paired

Function = Callable[[jax.Array], jax.Array]
Distance = Literal["l2", "cosine"]


def equivariance_deviation(
    f: Function,
    actions: Sequence[Function],
    actions_out: Sequence[Function],
    x: jax.Array,
    distance: Distance = "l2",
) -> jax.Array:
    """Mean distance between f(g x) and g f(x), over a group (or any transformations) and a batch.

        mean over g and x of m(f(g x), g f(x))
        l2:     m(a, b) = ||a - b||
        cosine: m(a, b) = 1 - <a, b> / (||a|| ||b||)

    For invariance let `actions_out` be identities. The cosine distance does not depend on the norm
    of the outputs; it is about 1 for unrelated outputs, and 1 if one of the two is zero.
    Source: Kvinge, Emerson, Jorgenson, Vasquez, Doster, Lew, In what ways are deep neural networks
    invariant and how should we measure this?, 2022 (G-empirical equivariance deviation).

    Args:
      f: from `[batch, ...]` to `[batch, ...]`, each example on its own.
      actions: how each transformation acts on x, such as `Group.actions()`.
      actions_out: how each acts on f(x).
      x: `[batch, ...]`.
      distance: 'l2' or 'cosine'.

    Raises:
      ValueError: another distance, no actions, or different numbers of them.
    """
    if distance not in get_args(Distance):
        raise ValueError(f"`distance` must be 'l2' or 'cosine', got {distance!r}.")
    between = _l2 if distance == "l2" else _cosine
    pairs = paired(actions, actions_out)
    return jnp.stack(
        [between(*map(_flat, equivariance_pair(f, g, g_out, x))).mean() for g, g_out in pairs]
    ).mean()


def _flat(z: jax.Array) -> jax.Array:
    return z.reshape(len(z), -1)


def _l2(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.linalg.norm(a - b, axis=1)


def _cosine(a: jax.Array, b: jax.Array) -> jax.Array:
    sizes = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
    alike = jnp.where(sizes > 0, (a * b).sum(1) / jnp.where(sizes > 0, sizes, 1), 0)
    # Two zeros are equal.
    return jnp.where(jnp.all(a == b, 1), 0, 1 - alike)
