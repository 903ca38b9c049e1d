"""A network and the way it is trained, compiled once for all seeds and data."""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from flax import linen

from cnnjax.run.config import InputError
from cnnjax.train.config import TrainConfig
from cnnjax.train.losses import SOWN_LOSSES, Classification, Loss
from cnnjax.train.optimizer import optimizer
from cnnjax.train.parallel import Devices, Prepare, parallel_step, replicate, shard
from cnnjax.train.state import TrainState, create_state
from cnnjax.train.step import eval_step, train_step


@dataclasses.dataclass(frozen=True)
class Training:
    """The compiled functions of one network; each compiles at its first call, then never again.

    Attributes:
      model: the network.
      config: how to train.
      devices: the devices that share each batch.
      init: `init(seed, sample_input) -> TrainState`; of the input [b, ...] only the shape counts.
      train_step: `(state, source, shards) -> (state, metrics)`; uses the state up.
      eval_step: `(state, source, shards) -> sums`.
    """

    model: linen.Module
    config: TrainConfig
    devices: tuple[jax.Device, ...]
    init: Callable[[int, Any], TrainState]
    train_step: Callable
    eval_step: Callable


def compile_training(
    model: linen.Module,
    config: TrainConfig,
    prepare: Prepare | None = None,
    prepare_eval: Prepare | None = None,
    *,
    step: Callable = train_step,
    loss: Loss | None = None,
    devices: Devices | None = None,
) -> Training:
    """Functions that initialise, train and evaluate `model` on `devices` (default all).

    Args:
      model: gives logits [b, classes]; its BatchNorm modules have `axis_name='batch'`.
      config: how to train.
      prepare: makes training batches inside the compiled step, see `parallel_step`; None where
        batches come with their images.
      prepare_eval: the same for evaluation, where usually nothing is random.
      step: `step(state, batch, *, model, optimizer, config, loss) -> (state, metrics)`: pure, of
        one device; it names `step.AXIS` and reduces over it, as `train_step` does.
      loss: `loss(logits, batch, sown) -> [b]`, see `losses.Loss`; by default the cross-entropy of
        `losses.Classification`.
      devices: of all processes, in the order in which they share a batch.

    Raises:
      InputError: the devices do not divide the batch size.
    """
    devices = tuple(jax.devices() if devices is None else devices)
    size, count = config.batch_size, len(devices)
    if size % count:
        raise InputError(
            f"train.batch_size must be a multiple of the {count} devices, got {size}; "
            f"{size // count * count or count} would do."
        )
    loss = Classification.of(config) if loss is None else loss
    optimization = optimizer(config)
    create = jax.jit(
        functools.partial(
            create_state,
            model,
            optimization,
            ema=config.ema_decay > 0,
            sown=(SOWN_LOSSES, *getattr(loss, "reads", ())),
        ),
        # It runs once: compiling random numbers well takes XLA many times longer than drawing them.
        compiler_options={"xla_backend_optimization_level": 0},
    )

    def init(seed: int, sample_input) -> TrainState:
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed={seed} must be at least 0 and below 2**32.")
        return replicate(create(seed, sample_input), devices)

    update = functools.partial(step, model=model, optimizer=optimization, config=config, loss=loss)
    score = functools.partial(eval_step, model=model, config=config)
    return Training(
        model=model,
        config=config,
        devices=devices,
        init=init,
        train_step=parallel_step(update, prepare, devices, donate_state=True),
        eval_step=parallel_step(score, prepare_eval, devices),
    )


def evaluate(
    training: Training,
    state: TrainState,
    batches: Iterable[dict[str, np.ndarray]],
    source: Any = None,
) -> dict[str, float]:
    """Weighted mean loss and accuracy over the examples of `batches`.

    Args:
      training: the compiled functions.
      state: the state to evaluate; it is not changed.
      batches: the entries that `prepare_eval` takes, or 'image' and 'label', and 'weight'
        `[batch]`: 1, or 0 for examples that pad a batch. One batch size means one compilation.
      source: where `prepare_eval` takes examples from.

    Returns:
      'loss', 'accuracy', and 'count', the sum of the weights.

    Raises:
      ValueError: all weights are 0.
    """
    state = replicate(state, training.devices)
    source = replicate(source, training.devices)
    totals = {"loss": 0.0, "correct": 0.0, "count": 0.0}
    unread = []

    def add(sums) -> None:
        for name, value in jax.device_get(sums).items():
            totals[name] += float(value)

    for batch in batches:
        unread.append(training.eval_step(state, source, shard(batch, training.devices)))
        # More than two calls in flight dead-lock virtual CPU devices.
        if len(unread) > 1:
            add(unread.pop(0))
    for sums in unread:
        add(sums)
    if totals["count"] == 0:
        raise ValueError(
            "the weights of all examples must have a positive sum, got 0: nothing to evaluate."
        )
    return {
        "loss": totals["loss"] / totals["count"],
        "accuracy": totals["correct"] / totals["count"],
        "count": totals["count"],
    }
