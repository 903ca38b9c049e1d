"""One update and one evaluation, as pure functions of what one device holds."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen
from flax.core import DenyList
from jax import lax

from cnnjax.train.config import TrainConfig
from cnnjax.train.losses import (
    OBSERVED,
    SOWN_LOSSES,
    Classification,
    Loss,
    cross_entropy,
    l2_terms,
    per_example,
)
from cnnjax.train.optimizer import schedule
from cnnjax.train.share_key import share_key
from cnnjax.train.state import DROPOUT, TrainState, step_key

AXIS = "batch"
"""Name of the axis of devices; a BatchNorm module with `axis_name='batch'` averages over it."""

Batch = dict[str, jax.Array]


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: linen.Module,
    optimizer: optax.GradientTransformation,
    config: TrainConfig,
    loss: Loss | None = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update by the gradient of the mean loss over the batch of all devices.

    Every device holds an equal share, so that the mean of their gradients is the gradient of the
    mean. What the network sows into the collection 'losses' is added to the loss; weight decay is
    not part of it. Dropout masks, and whatever else is drawn for a batch from the stream 'dropout',
    are this device's part of those of the whole batch (`share_key.share_key`): the same on any
    number of devices.

    Args:
      state: the same on every device.
      batch: this device's share: 'image' floating [b, ...], 'label' int [b], and 'position' int
        [b], the examples' places in the batch of all devices, which follow each other, and what
        `loss` takes.
      model: called as `model.apply(variables, image, train=True)`, or without `train` where it
        takes none; gives logits [b, classes].
      optimizer: the transformation that made `state.opt_state`.
      config: what to do.
      loss: `loss(logits, batch, sown) -> [b]`, see `losses.Loss`; by default the cross-entropy of
        `losses.Classification`.

    Returns:
      The next state, and metrics of the whole batch before the update: sums 'loss', 'correct' and
      'count', and 'gradient_norm' (before clipping) and 'learning_rate'; with weight decay also
      'total_loss', the mean loss and the L2 terms of the weights (`losses.l2_terms`).

    Raises:
      ValueError: an entry of the batch is missing or is not what it must be, or the network sows
        into a collection that is neither 'losses', 'intermediates', nor read by the loss.
    """
    _check_batch(batch, ("image", "label", "position"))
    # Folded with 0 as version 0.1.0 did on one device, whose numbers these are.
    dropout = jax.random.fold_in(step_key(state, DROPOUT), 0)
    share = batch["position"][0] // len(batch["position"])
    loss = loss or Classification.of(config)

    def mean_loss(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, updated = _apply(
            model,
            variables,
            batch["image"],
            config,
            train=True,
            rngs={"dropout": share_key(dropout, share)},
            mutable=DenyList(("params", OBSERVED)),
        )
        sown = {name: tree for name, tree in updated.items() if name != "batch_stats"}
        _check_sown(model, sown, loss)
        losses = loss(logits, batch, sown)
        added = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(sown.get(SOWN_LOSSES, {})))
        return losses.mean() + added, (losses + added, logits, updated.get("batch_stats", {}))

    gradient, (losses, logits, batch_stats) = jax.grad(mean_loss, has_aux=True)(state.params)
    # Statistics that no BatchNorm module has averaged over the devices must not differ on them.
    gradient, batch_stats = lax.pmean((gradient, batch_stats), AXIS)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    step = state.step + 1

    metrics = lax.psum(_sums(losses, logits, batch["label"], jnp.ones_like(losses)), AXIS)
    metrics["gradient_norm"] = optax.tree.norm(gradient)
    metrics["learning_rate"] = jnp.asarray(schedule(config)(state.step), jnp.float32)
    if config.weight_decay > 0:
        metrics["total_loss"] = metrics["loss"] / metrics["count"] + l2_terms(state.params, config)
    ema_params = state.ema_params
    if config.ema_decay > 0:
        average = moving_average if config.ema_start == "debiased" else ramped_average
        ema_params = average(ema_params, params, step, config.ema_decay)
    return state.replace(
        step=step,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        ema_params=ema_params,
    ), metrics


def eval_step(
    state: TrainState, batch: Batch, *, model: linen.Module, config: TrainConfig
) -> dict[str, jax.Array]:
    """Sums over the batch of all devices, each example times its weight.

    The network runs with averaged parameters where the state has them, and with the running
    statistics of BatchNorm, which are averages already; the loss is the plain cross-entropy.

    Args:
      state: the same on every device.
      batch: this device's share: 'image' floating [b, ...], 'label' int [b], 'weight' [b], which is
        0 for examples that only fill the batch up.
      model: as in `train_step`, called with `train=False`.
      config: what to do.

    Returns:
      'loss', 'correct' and 'count'.

    Raises:
      ValueError: an entry of the batch is missing or is not what it must be.
    """
    _check_batch(batch, ("image", "label", "weight"))
    logits = _apply(model, state.variables, batch["image"], config, train=False)
    losses = cross_entropy(logits, batch["label"])
    return lax.psum(_sums(losses, logits, batch["label"], batch["weight"]), AXIS)


def correct_labels(
    state: TrainState, batch: Batch, *, model: linen.Module, config: TrainConfig
) -> jax.Array:
    """Share of correct labels of each example [b], whose weighted sum `eval_step` returns.

    1 or 0 for an example of one label, from 0 to 1 where each of its pixels has one.

    Args:
      state, batch, model, config: as of `eval_step`; weights do not count.

    Raises:
      ValueError: an entry of the batch is missing or is not what it must be.
    """
    _check_batch(batch, ("image", "label"))
    logits = _apply(model, state.variables, batch["image"], config, train=False)
    return _correct(logits, batch["label"])


def moving_average(average: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """Exponential moving average of parameters without the bias of its start.

    `average += weight * (params - average)` with `weight = (1 - decay) / (1 - decay ** step)`,
    where `step` counts from 1: always the mean of the parameters after each update, weighted by
    `decay ** age`, with weights that sum to 1 (the correction of Kingma and Ba, 2015). What the
    average was before the first update does not count.
    """
    # expm1 keeps the digits that 1 - decay ** step loses in float32 when decay is near 1.
    weight = jnp.expm1(math.log(decay)) / jnp.expm1(step * math.log(decay))
    return jax.tree.map(lambda old, new: old + weight * (new - old), average, params)


def ramped_average(average: Any, params: Any, step: jax.Array, decay: float) -> Any:
    """Exponential moving average of parameters whose decay rises from 2/11 to `decay`.

    `average += (1 - d) * (params - average)` with `d = min(decay, (1 + step) / (10 + step))`, where
    `step` counts from 1. The average begins as the initial parameters, which count for less and
    less: after n updates for the product of all d.
    Source: TensorFlow, `train.ExponentialMovingAverage` with `num_updates`, as in its CIFAR-10
    tutorial, 2015.
    """
    ramp = (1 + step) / (10 + step)
    weight = 1 - jnp.minimum(decay, ramp)
    return jax.tree.map(lambda old, new: old + weight * (new - old), average, params)


def _apply(model, variables, image, config, *, train: bool, **options):
    # Casting the parameters, too, makes every module of the network compute in bfloat16 whatever
    # its own settings; the cast's derivative brings the gradient back to float32.
    if config.bfloat16:
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), variables["params"])
        variables = {**variables, "params": params}
        image = image.astype(jnp.bfloat16)
    if "train" in inspect.signature(model.__call__).parameters:
        options["train"] = train
    return model.apply(variables, image, **options)


def _correct(logits, label):
    return per_example((jnp.argmax(logits, axis=-1) == label).astype(jnp.float32))


def _sums(losses, logits, label, weight):
    correct = _correct(logits, label)
    # Where the weight is zero not even a NaN counts.
    losses = jnp.where(weight > 0, losses, 0)
    return {
        "loss": jnp.sum(weight * losses),
        "correct": jnp.sum(weight * correct),
        "count": jnp.sum(weight, dtype=jnp.float32),
    }


def _check_batch(batch: Batch, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in batch]
    if missing:
        raise ValueError(
            f"The batch lacks {missing}: a step needs {list(names)}, got {sorted(batch)}."
        )
    if not jnp.issubdtype(batch["image"].dtype, jnp.floating):
        raise ValueError(
            f"batch['image'] must be floating and standardised, got {batch['image'].dtype}."
        )


def _check_sown(model: linen.Module, sown: Mapping[str, Any], loss: Loss) -> None:
    read = (SOWN_LOSSES, *getattr(loss, "reads", ()))
    for name in sown:
        if name not in read:
            raise ValueError(
                f"{type(model).__name__} must sow in training into {', '.join(map(repr, read))} or "
                f"{OBSERVED!r} only, got {name!r}, which nothing reads."
            )
