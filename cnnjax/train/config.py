"""The numbers that say how a network is trained; importing this file imports no jax."""

import dataclasses
import math
from typing import Literal, get_args

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "exponential"]
AverageStart = Literal["debiased", "ramped"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train: budget, optimiser, schedule, regularisers, and how often to evaluate.

    Raises:
      ValueError: a value that cannot be meant, in a sentence that prints it.
    """

    steps: int = 1000
    """Number of parameter updates."""
    batch_size: int = 128
    """Examples per update, over all devices together."""
    optimizer: Optimizer = "adam"
    """Update rule; weight decay is decoupled from it (Loshchilov and Hutter, 2019)."""
    learning_rate: float = 1e-3
    """Highest learning rate, reached at the end of the warm-up."""
    schedule: Schedule = "cosine"
    """Learning rate after the warm-up: constant, cosine to zero at the last step, exponential."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from zero."""
    decay_steps: int = 0
    """exponential: steps in which the learning rate is multiplied by decay_rate once."""
    decay_rate: float = 0.1
    """exponential: factor of the learning rate every decay_steps."""
    staircase: bool = False
    """exponential: multiply at once every decay_steps, not continuously."""
    momentum: float = 0.9
    """sgd: decay of the velocity; 0 is plain gradient descent."""
    nesterov: bool = False
    """sgd: Nesterov's momentum."""
    weight_decay: float = 0.0
    """sgd and adamw: kernels and embeddings shrink by learning_rate * weight_decay a step."""
    decay_only: tuple[str, ...] = ()
    """sgd and adamw: names of the modules whose kernels shrink; without any, all do."""
    auxiliary_weight: float = 0.3
    """Weight of the loss of a network's auxiliary outputs, if it has any."""
    label_smoothing: float = 0.0
    """Share of the target that is spread evenly over all classes (training loss only)."""
    gradient_clip: float = 0.0
    """Largest global norm of the gradient; 0 is off."""
    ema_decay: float = 0.0
    """Decay of the moving average of parameters that evaluation uses; 0 is off."""
    ema_start: AverageStart = "debiased"
    """Moving average at first: debiased, the mean of the parameters so far by their age; ramped, as
    TensorFlow's: from the initial parameters, its decay after n updates min(ema_decay, (1 + n) /
    (10 + n))."""
    bfloat16: bool = False
    """Run the network in bfloat16; parameters, losses, sums and the optimiser stay float32."""
    log_every: int = 50
    """Steps between two lines of training metrics."""
    eval_every: int = 0
    """Steps between two evaluations; 0 evaluates after the last step only."""
    checkpoint_every: int = 0
    """Steps between two checkpoints; 0 saves after the last step only."""
    checkpoint_minutes: float = 0.0
    """Longest time without a checkpoint, checked every log_every steps; 0 is off."""
    keep_every: int = 0
    """Checkpoints at multiples of so many steps stay for good; 0 keeps the newest and best only."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every"):
            _require(self, name, _is_int(self, name, at_least=1), "an integer of at least 1")
        for name in ("warmup_steps", "decay_steps", "eval_every", "checkpoint_every", "keep_every"):
            _require(self, name, _is_int(self, name, at_least=0), "an integer of at least 0")
        _require_choice(self, "optimizer", get_args(Optimizer))
        _require_choice(self, "schedule", get_args(Schedule))
        _require_choice(self, "ema_start", get_args(AverageStart))
        _require(self, "learning_rate", 0 < self.learning_rate < math.inf, "positive and finite")
        _require(self, "decay_rate", 0 < self.decay_rate <= 1, "above 0 and at most 1")
        for name in ("momentum", "label_smoothing", "ema_decay"):
            _require(self, name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        for name in ("weight_decay", "auxiliary_weight", "gradient_clip", "checkpoint_minutes"):
            _require(self, name, 0 <= getattr(self, name) < math.inf, "at least 0 and finite")
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps={self.warmup_steps} must not be more than steps={self.steps}."
            )
        if self.keep_every and (
            self.checkpoint_every == 0 or self.keep_every % self.checkpoint_every
        ):
            raise ValueError(
                f"keep_every={self.keep_every} must be a multiple of checkpoint_every="
                f"{self.checkpoint_every}, else those checkpoints are never written."
            )
        if self.schedule == "exponential" and self.decay_steps == 0:
            raise ValueError(
                "schedule='exponential' needs decay_steps of at least 1, got decay_steps=0."
            )
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.")
        if self.decay_only and self.weight_decay == 0:
            raise ValueError(
                f"decay_only={self.decay_only} needs a weight_decay above 0, got weight_decay=0.0."
            )
        if self.ema_start != "debiased" and self.ema_decay == 0:
            raise ValueError(
                f"ema_start={self.ema_start!r} needs an ema_decay above 0, got ema_decay=0.0."
            )
        if self.optimizer == "adam" and self.weight_decay > 0:
            raise ValueError(
                f"optimizer='adam' has no weight decay, got weight_decay={self.weight_decay}; "
                "take optimizer='adamw'."
            )


def _is_int(config: TrainConfig, name: str, *, at_least: int) -> bool:
    value = getattr(config, name)
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def _require(config: TrainConfig, name: str, holds: bool, requirement: str) -> None:
    if not holds:
        raise ValueError(f"{name}={getattr(config, name)!r} must be {requirement}.")


def _require_choice(config: TrainConfig, name: str, choices: tuple[str, ...]) -> None:
    if getattr(config, name) not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name}={getattr(config, name)!r} must be one of {listed}.")
