"""Learning-rate schedule and optax optimiser of a configuration."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import jax
import optax

from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports
from cnnjax.train.config import TrainConfig

with lazy_imports():
    from cnnjax.run import imports

DECAYED = ("kernel", "kernels", "embedding")
"""Names of the parameters with weight decay: no biases, no scales of normalisation."""


def schedule(config: TrainConfig) -> optax.Schedule:
    """Learning rate of the update after `step` updates, with warm-up w and peak l.

    `l * step / w` while `step < w`, then, with `s = step - w`:
    constant `l`; cosine `l * (1 + cos(pi * s / (steps - w))) / 2` (Loshchilov and Hutter, 2017);
    exponential `l * decay_rate ** (s / decay_steps)`, the exponent floored with `staircase`.
    """
    peak = config.learning_rate
    if config.schedule == "constant":
        after_warmup = optax.constant_schedule(peak)
    elif config.schedule == "cosine":
        after_warmup = optax.cosine_decay_schedule(peak, max(1, config.steps - config.warmup_steps))
    else:
        after_warmup = optax.exponential_decay(
            peak, config.decay_steps, config.decay_rate, staircase=config.staircase
        )
    if config.warmup_steps == 0:
        return after_warmup
    warmup = optax.linear_schedule(0.0, peak, config.warmup_steps)
    return optax.join_schedules([warmup, after_warmup], [config.warmup_steps])


def optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Optimiser of the configuration: gradient clipping, direction, decoupled decay, learning rate.

    `parameter -= rate(step) * (u + weight_decay * parameter)`, with the second term only for
    parameters named in `DECAYED`; u is the velocity of stochastic gradient descent or the
    direction of Adam (Kingma and Ba, 2015), of the gradient scaled to a norm of at most
    `gradient_clip`. An optimiser by import path does what it does with that gradient.

    Raises:
      InputError: there is no such optimiser, or it takes no learning rate or no weight decay.
    """
    stages = []
    if config.gradient_clip > 0:
        stages.append(optax.clip_by_global_norm(config.gradient_clip))
    if ":" in config.optimizer:
        return optax.chain(*stages, _by_path(config))
    if config.optimizer in ("adam", "adamw"):
        stages.append(optax.scale_by_adam())
    elif config.momentum > 0:
        stages.append(optax.trace(config.momentum, nesterov=config.nesterov))
    if config.weight_decay > 0:
        mask = functools.partial(decayed, only=config.decay_only)
        stages.append(optax.add_decayed_weights(config.weight_decay, mask=mask))
    stages.append(optax.scale_by_learning_rate(schedule(config)))
    return optax.chain(*stages)


def _by_path(config: TrainConfig) -> optax.GradientTransformation:
    """The optimiser that a function of anyone's makes."""
    path = config.optimizer
    make = getattr(imports.module_of(path, "optimizer"), path.partition(":")[2], None)
    if not callable(make):
        raise InputError(f"train.optimizer must name a function, got {path!r}.")
    takes = inspect.signature(make).parameters
    options: dict[str, Any] = {"learning_rate": schedule(config)}
    if config.weight_decay > 0 or "weight_decay" in takes:
        options["weight_decay"] = config.weight_decay
    if "mask" in takes:
        options["mask"] = functools.partial(decayed, only=config.decay_only)
    if missing := [name for name in options if name not in takes]:
        raise InputError(
            f"train.optimizer must take {missing[0]}, but {path} takes {', '.join(takes)}."
        )
    made = make(**options)
    if not isinstance(made, optax.GradientTransformation):
        raise InputError(f"train.optimizer must make an optax optimiser, but {path} made {made!r}.")
    return made


def decayed(params, only: Sequence[str] = ()):
    """Mask of the parameters with weight decay: a tree like `params` of booleans.

    True for those named in `DECAYED`; with `only`, for those in modules of these names alone.

    Raises:
      ValueError: a name in `only` of no module with such a parameter.
    """

    def names(path) -> list[str]:
        return [jax.tree_util.keystr((key,), simple=True) for key in path]

    paths = [names(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    modules = {name for path in paths if path[-1] in DECAYED for name in path[:-1]}
    if unknown := [name for name in only if name not in modules]:
        raise ValueError(
            f"`decay_only` must name modules with kernels, which are {', '.join(sorted(modules))}, "
            f"got {', '.join(unknown)}."
        )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: (
            names(path)[-1] in DECAYED and (not only or bool(set(only) & set(names(path)[:-1])))
        ),
        params,
    )
