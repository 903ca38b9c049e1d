"""Loss functions of a training step: `loss(logits, batch, sown) -> [b]`, pure functions."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cnnjax.train.config import TrainConfig
from cnnjax.train.optimizer import decayed

AUXILIARY = "auxiliary"
"""Collection into which a network sows further logits in training, whose loss counts as well."""

SOWN_LOSSES = "losses"
"""Collection into which a network sows scalars that are added to the loss, such as a penalty."""

OBSERVED = "intermediates"
"""Flax's collection for observation: nothing in it is part of training."""

Loss = Callable[[jax.Array, dict[str, jax.Array], Mapping[str, Any]], jax.Array]
"""`loss(logits, batch, sown)`: the loss [b] of each example of a device's share of the batch.

`batch` is what `train_step` takes; `sown` holds the collections that the network sowed, of which a
loss names those that it reads in an attribute `reads`, a tuple of names.
"""


@dataclasses.dataclass(frozen=True)
class Classification:
    """Cross-entropy with smoothed labels, of the logits and of auxiliary logits.

        loss = CE(logits) + auxiliary_weight * sum over auxiliary logits of CE(auxiliary)

    Labels are [b], or [b, *space] for logits [b, *space, classes].
    """

    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3
    reads: tuple[str, ...] = (AUXILIARY,)

    @classmethod
    def of(cls, config: TrainConfig) -> "Classification":
        """The loss with the weights of a configuration."""
        return cls(config.label_smoothing, config.auxiliary_weight)

    def __call__(self, logits, batch, sown) -> jax.Array:
        losses = cross_entropy(logits, batch["label"], self.label_smoothing)
        for other in jax.tree.leaves(sown.get(AUXILIARY, {})):
            more = cross_entropy(other, batch["label"], self.label_smoothing)
            losses += self.auxiliary_weight * more
        return losses


def cross_entropy(logits: jax.Array, label: jax.Array, smoothing: float = 0.0) -> jax.Array:
    """Cross-entropy [b] in float32 of `logits` [b, ..., classes] and labels [b, ...].

    The target is `(1 - smoothing) * one_hot(label) + smoothing / classes` (Szegedy et al., 2016).
    Where labels have space, an example's loss is the mean over it.
    """
    target = optax.smooth_labels(jax.nn.one_hot(label, logits.shape[-1]), smoothing)
    losses = -jnp.sum(target * jax.nn.log_softmax(logits.astype(jnp.float32)), axis=-1)
    return per_example(losses)


def l2_terms(params: Any, config: TrainConfig) -> jax.Array:
    """What weight decay adds to the loss, `weight_decay / 2 * sum of squares` of what it shrinks.

    Of plain gradient descent the decoupled decay of `optimizer` is its gradient, exactly; of
    momentum and Adam it is not.

    Args:
      params: of the network.
      config: its `weight_decay` and `decay_only`.

    Returns:
      A scalar of float32.
    """
    mask = decayed(params, config.decay_only)
    squares = jax.tree.map(lambda leaf, shrinks: jnp.sum(leaf**2) * shrinks, params, mask)
    return config.weight_decay / 2 * sum(jax.tree.leaves(squares), jnp.zeros(()))


def per_example(values: jax.Array) -> jax.Array:
    """Values [b, ...] as their mean [b] for each example."""
    return values if values.ndim == 1 else values.mean(axis=range(1, values.ndim))
