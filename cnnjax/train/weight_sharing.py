"""Optimisers that bring untied kernels closer to a convolution: phases of sharing, sparse kernels.

`adam_with_phases` and `beta_lasso` are optimisers for `TrainConfig.optimizer`, by import path.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Updates(NamedTuple):
    """Number of updates so far, int32."""

    count: jax.Array


def shared_kernels(parameters: Any, axes: int = 2) -> Any:
    """The parameters with the kernels of every bank, and their biases, replaced by their mean.

        K'[p] = mean over q of K[q],    b'[p] = mean over q of b[q]

    Banks are recognised by the rank of 'kernel' in a module: `[*bank, *window, in/groups, out]`,
    with bias `[*bank, out]`. Modules with one kernel, and what is in none, stay as they are.

    Args:
      parameters: of a network, nested mappings of arrays.
      axes: number of spatial axes of its convolutions.
    """
    if not isinstance(parameters, Mapping):
        return parameters
    kernel = parameters.get("kernel")
    bank = 0 if kernel is None else max(0, kernel.ndim - axes - 2)

    def shared(name: str, leaf: Any) -> Any:
        if bank and name in ("kernel", "bias"):
            mean = leaf.mean(axis=range(bank), keepdims=True)
            return jnp.broadcast_to(mean, leaf.shape)
        return shared_kernels(leaf, axes)

    return {name: shared(name, leaf) for name, leaf in parameters.items()}


def sharing_phases(every: int, axes: int = 2) -> optax.GradientTransformation:
    """Replace the kernels of each bank by their mean after every so many updates.

        w <- w + u;    then, if the number of updates is a multiple of `every`, w <- P w

    with u the update of what comes before and P the average of `shared_kernels`: kernels are equal
    then but for rounding. Moments of the optimiser are not shared. It comes last in a chain.
    Source: Pogodin, Mehta, Lillicrap, Latham, Towards biologically plausible convolutional
    networks, 2021: their phases of weight sharing, with the ideal outcome of lateral learning.

    Args:
      every: updates from one phase to the next.
      axes: number of spatial axes of the convolutions.

    Raises:
      ValueError: `every` below 1; in an update, no parameters.
    """
    if every < 1:
        raise ValueError(f"`every` must be at least 1, got {every!r}.")

    def init(params: Any) -> Updates:
        del params
        return Updates(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Updates]:
        if params is None:
            raise ValueError("`params` must be given to an update of sharing_phases, got None.")
        count = state.count + 1
        shared = shared_kernels(optax.apply_updates(params, updates), axes)
        phase = count % every == 0
        updates = jax.tree.map(
            lambda update, mean, param: jnp.where(phase, mean - param, update),
            updates,
            shared,
            params,
        )
        return updates, Updates(count)

    return optax.GradientTransformation(init, update)


def beta_lasso(
    learning_rate: optax.ScalarOrSchedule, penalty: float = 1e-5, threshold: float = 50.0
) -> optax.GradientTransformation:
    """Gradient descent with an L1 penalty that makes small weights exactly zero.

        w <- w - rate (u + lambda sign(w));    then w <- 0 where |w| < beta lambda

    with u the direction that comes before, lambda the `penalty`, beta the `threshold`. Weights that
    are zero come back when one update takes them beyond beta lambda. With beta = 0 it is gradient
    descent on the lasso. Both defaults are ours: they depend on the task.
    Source: Neyshabur, Towards learning convolutions from scratch, 2020; the threshold
    beta lambda, without the rate, is that of public implementations.

    Args:
      learning_rate: a number, or a schedule of the number of updates so far.
      penalty: lambda, at least 0.
      threshold: beta, at least 0.

    Raises:
      ValueError: a negative penalty or threshold; in an update, no parameters.
    """
    for name, value in (("penalty", penalty), ("threshold", threshold)):
        if not value >= 0:
            raise ValueError(f"`{name}` must be at least 0, got {value!r}.")

    def init(params: Any) -> Updates:
        del params
        return Updates(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Updates]:
        if params is None:
            raise ValueError("`params` must be given to an update of beta_lasso, got None.")
        rate: Any = learning_rate(state.count) if callable(learning_rate) else learning_rate

        def step(direction: jax.Array, weight: jax.Array) -> jax.Array:
            moved = weight - rate * (direction + penalty * jnp.sign(weight))
            kept = jnp.where(jnp.abs(moved) < threshold * penalty, 0, moved)
            return kept - weight

        return jax.tree.map(step, updates, params), Updates(state.count + 1)

    return optax.GradientTransformation(init, update)


def adam_with_phases(
    learning_rate: optax.ScalarOrSchedule, every: int = 10
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba, 2015), and `sharing_phases` of two-dimensional convolutions."""
    return optax.chain(optax.adam(learning_rate), sharing_phases(every))
