"""The learning-rate schedule and the optax optimiser that a configuration describes."""

import jax
import optax

from cnnjax.train.config import TrainConfig

DECAYED = ("kernel", "kernels", "embedding")
"""Names of the parameters that weight decay shrinks: never biases, nor scales of norms."""


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
    """Optimiser of the configuration: clip, direction u, decoupled decay, learning rate.

    `parameter -= rate(step) * (u + weight_decay * parameter)`, where the second term is there for
    parameters named in `DECAYED` only; u is the velocity of stochastic gradient descent or the
    direction of Adam (Kingma and Ba, 2015), of the gradient scaled to a norm of at most
    `gradient_clip`.
    """
    stages = []
    if config.gradient_clip > 0:
        stages.append(optax.clip_by_global_norm(config.gradient_clip))
    if config.optimizer in ("adam", "adamw"):
        stages.append(optax.scale_by_adam())
    elif config.momentum > 0:
        stages.append(optax.trace(config.momentum, nesterov=config.nesterov))
    if config.weight_decay > 0:
        stages.append(optax.add_decayed_weights(config.weight_decay, mask=decayed))
    stages.append(optax.scale_by_learning_rate(schedule(config)))
    return optax.chain(*stages)


def decayed(params):
    """Tree like `params` of booleans: True where weight decay shrinks the parameter."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path[-1:], simple=True) in DECAYED, params
    )
