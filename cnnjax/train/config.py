"""The numbers that say how a network is trained; importing this file imports no jax."""

import dataclasses
import math
import re
from typing import Annotated, Literal

from cnnjax.run.config import CheckedConfig, Counted, Fraction, Positive, Requirement

Optimizer = Annotated[
    str,
    Requirement(
        lambda name: name in ("sgd", "adam", "adamw") or bool(re.fullmatch(r"[\w.]+:\w+", name)),
        "sgd, adam, adamw, or MODULE:FUNCTION such as optax:lion",
    ),
]
Schedule = Literal["constant", "cosine", "exponential"]
Amount = Annotated[float, Requirement(lambda x: 0 <= x < math.inf, "at least 0 and finite")]
Rate = Annotated[float, Requirement(lambda x: 0 < x < math.inf, "positive and finite")]
Factor = Annotated[float, Requirement(lambda x: 0 < x <= 1, "above 0 and at most 1")]
AverageStart = Literal["debiased", "ramped"]


@dataclasses.dataclass(frozen=True)
class TrainConfig(CheckedConfig):
    """How to train: budget, optimiser, schedule, regularisers, and how often to evaluate.

    Raises:
      ValueError: a value that cannot be meant, in a sentence that prints it.
    """

    steps: Positive = 1000
    """Number of parameter updates."""
    batch_size: Positive = 128
    """Examples per update, over all devices together."""
    optimizer: Optimizer = "adam"
    """Update rule; weight decay is decoupled from it (Loshchilov and Hutter, 2019). An import path,
    such as optax:lion, is of a function from `learning_rate`, a schedule, to an optax optimiser; it
    gets weight_decay and a mask where it takes them."""
    learning_rate: Rate = 1e-3
    """Highest learning rate, reached at the end of the warm-up."""
    schedule: Schedule = "cosine"
    """Learning rate after the warm-up: constant, cosine to zero at the last step, exponential."""
    warmup_steps: Counted = 0
    """Steps over which the learning rate rises linearly from zero."""
    decay_steps: Counted = 0
    """exponential: steps in which the learning rate is multiplied by decay_rate once."""
    decay_rate: Factor = 0.1
    """exponential: factor of the learning rate every decay_steps."""
    staircase: bool = False
    """exponential: multiply at once every decay_steps, not continuously."""
    momentum: Fraction = 0.9
    """sgd: decay of the velocity; 0 is plain gradient descent."""
    nesterov: bool = False
    """sgd: Nesterov's momentum."""
    weight_decay: Amount = 0.0
    """Kernels and embeddings shrink by learning_rate * weight_decay a step; not with adam."""
    decay_only: tuple[str, ...] = ()
    """Names of the modules whose kernels shrink; without any, all do."""
    auxiliary_weight: Amount = 0.3
    """Weight of the loss of a network's auxiliary outputs, if it has any."""
    label_smoothing: Fraction = 0.0
    """Share of the target that is spread evenly over all classes (training loss only)."""
    gradient_clip: Amount = 0.0
    """Largest global norm of the gradient; 0 is off."""
    ema_decay: Fraction = 0.0
    """Decay of the moving average of parameters that evaluation uses; 0 is off."""
    ema_start: AverageStart = "debiased"
    """Moving average at first: debiased, the mean of the parameters so far by their age; ramped, as
    TensorFlow's: from the initial parameters, its decay after n updates min(ema_decay, (1 + n) /
    (10 + n))."""
    bfloat16: bool = False
    """Run the network in bfloat16; parameters, losses, sums and the optimiser stay float32."""
    log_every: Positive = 50
    """Steps between two lines of training metrics."""
    eval_every: Counted = 0
    """Steps between two evaluations; 0 evaluates after the last step only."""
    eval_doubling: bool = False
    """Evaluate after 1, 2, 4, 8, ... times eval_every steps alone, evenly on a logarithmic axis."""
    checkpoint_every: Counted = 0
    """Steps between two checkpoints; 0 saves after the last step only."""
    checkpoint_minutes: Amount = 0.0
    """Longest time without a checkpoint, checked every log_every steps; 0 is off."""
    keep_every: Counted = 0
    """Checkpoints at multiples of so many steps stay for good; 0 keeps the newest and best only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps must be at most the {self.steps} steps, got {self.warmup_steps}."
            )
        if self.eval_doubling and self.eval_every == 0:
            raise ValueError("eval_every must be at least 1 for eval_doubling=True, got 0.")
        if self.keep_every and (
            self.checkpoint_every == 0 or self.keep_every % self.checkpoint_every
        ):
            raise ValueError(
                f"keep_every must be a multiple of checkpoint_every={self.checkpoint_every}, else "
                f"those checkpoints are never written, got {self.keep_every}."
            )
        if self.schedule == "exponential" and self.decay_steps == 0:
            raise ValueError("decay_steps must be at least 1 for schedule='exponential', got 0.")
        if self.nesterov and self.momentum == 0:
            raise ValueError("momentum must be above 0 for nesterov=True, got 0.")
        if self.decay_only and self.weight_decay == 0:
            raise ValueError(
                f"weight_decay must be above 0 for decay_only={self.decay_only}, got 0."
            )
        if self.ema_start != "debiased" and self.ema_decay == 0:
            raise ValueError(f"ema_decay must be above 0 for ema_start={self.ema_start!r}, got 0.")
        if self.optimizer == "adam" and self.weight_decay > 0:
            raise ValueError(
                f"weight_decay must be 0 for optimizer='adam', got {self.weight_decay}: take "
                "optimizer='adamw'."
            )
