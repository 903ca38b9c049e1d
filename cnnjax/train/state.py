"""State of training, and the random keys that are derived from it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen, struct
from flax.core import DenyList

INIT, AUGMENTATION, DROPOUT = range(3)
"""Purposes of random keys, each with its own keys; numbers from 3 on are free for other uses."""


class TrainState(struct.PyTreeNode):
    """Everything that training changes, and the seed of all its randomness.

    Attributes:
      step: number of updates, int32.
      seed: the seed of the run, uint32.
      params: parameters of the network, float32.
      batch_stats: running statistics of its BatchNorm modules, an empty dictionary without any.
      opt_state: state of the optimiser.
      ema_params: moving average of `params`, None where it is off.
    """

    step: jax.Array
    seed: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    ema_params: Any = None

    @property
    def variables(self) -> dict[str, Any]:
        """Variables for evaluation: with the averaged parameters, if there are any."""
        params = self.params if self.ema_params is None else self.ema_params
        return {"params": params, "batch_stats": self.batch_stats}


def create_state(
    model: linen.Module,
    optimizer: optax.GradientTransformation,
    seed: jax.Array | int,
    sample_input: jax.Array,
    *,
    ema: bool = False,
    sown: Sequence[str] = (),
) -> TrainState:
    """State before the first update; only shape and dtype of `sample_input` `[batch, ...]` matter.

    Collections named in `sown` are results of a call, no state.

    Raises:
      ValueError: the model has variables that training does not keep.
    """
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        seed=jnp.asarray(seed, jnp.uint32),
        params=None,
        batch_stats=None,
        opt_state=None,
    )
    results = DenyList(("intermediates", *sown))
    variables = dict(model.init(step_key(state, INIT), sample_input, mutable=results))
    params = variables.pop("params", {})
    batch_stats = variables.pop("batch_stats", {})
    if variables:
        raise ValueError(
            f"the variables of {type(model).__name__} must be 'params' and 'batch_stats', which "
            f"training keeps, got {sorted(variables)} as well."
        )
    return state.replace(
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        ema_params=jax.tree.map(jnp.copy, params) if ema else None,
    )


def step_key(state: TrainState, purpose: int) -> jax.Array:
    """Random key of one purpose at this step: `fold_in(fold_in(key(seed), purpose), step)`."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(state.seed), purpose), state.step)


def example_keys(state: TrainState, purpose: int, position: jax.Array) -> jax.Array:
    """Random keys `[batch]` of the examples at `position` `[batch]` of the global batch.

    A key depends on the position of the example in the global batch, not on its device.
    """
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(step_key(state, purpose), position)
