"""A learning rate for each compared arm, chosen on validation images from the same short list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from cnnjax.run.cells import Cell
from cnnjax.run.config import CheckedConfig, Distinct, InputError, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import Rate, TrainConfig
from cnnjax.train.stops import Diverged

with lazy_imports():
    import numpy as np

RATE = "learning_rate"
"""The factor of a tuning run, beside those of the arms and the seed."""
FACTORS = (1 / 3, 1, 3)
"""Learning rates that are tried, in units of `train.learning_rate`."""


@dataclasses.dataclass(frozen=True)
class TunedConfig(CheckedConfig):
    """The fields of a study whose arms each have a learning rate of their own."""

    seeds: Distinct[Seed] = (0, 1, 2)
    """Seeds; for each a network is trained in every condition."""
    train: TrainConfig = TrainConfig()
    """How to train."""
    rate_factors: dict[str, Rate] = dataclasses.field(default_factory=dict)
    """Learning rate of each arm in units of train.learning_rate, as --tune chose it; else 1."""
    tune: bool = False
    """Not the study, but the choice of its learning rates: train every arm with a third of
    train.learning_rate, with it and with three times it, and compare validation images."""
    tuning_seeds: Distinct[Seed] = (1000, 1001)
    """Seeds of --tune, none of the study's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if both := sorted(set(self.seeds) & set(self.tuning_seeds)):
            raise ValueError(f"tuning_seeds must be none of seeds, got {both[0]} in both.")

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that `tune` tries, to three digits."""
        return tuple(_rounded(factor * self.train.learning_rate) for factor in FACTORS)

    def train_for(self, cell: Mapping[str, Any], *factors: str) -> TrainConfig:
        """How to train the network of a cell: with its own rate in tuning, else with its arm's.

        Args:
          cell: of the study, or of `tune`.
          *factors: those whose values make the arm, in the order in which `tune` has them.
        """
        arm = arm_name([cell[factor] for factor in factors])
        chosen = _rounded(self.rate_factors.get(arm, 1) * self.train.learning_rate)
        return dataclasses.replace(self.train, learning_rate=cell.get(RATE, chosen))


def tune(
    config: TunedConfig,
    record: Record,
    train: Callable[[Cell], Callable[..., Mapping[str, float]]],
    **arms: Any,
) -> None:
    """Train each arm with each learning rate and tuning seed, and observe how well it validates.

    Observed are `accuracy` and `loss` on the validation examples, missing where training diverged.

    Args:
      config: of the study.
      record: of the run.
      train: trains the network of a cell with `config.train_for(cell, ...)`; returns what evaluates
        it, called with `split="validation"`, such as `functools.partial(network.evaluate, state)`.
      **arms: the factors of the arms and their values, see `Record.each`.
    """
    for cell in record.each(**arms, **{RATE: config.rates}, seed=config.tuning_seeds):
        try:
            found = train(cell)(split="validation")
        except Diverged:
            found = {"accuracy": None, "loss": None}
        record.observe(cell, accuracy=found["accuracy"], loss=found["loss"])


def chosen_rates(found: Observations) -> dict[str, float]:
    """The learning rate of each arm: the highest mean accuracy; of equal ones, the lowest loss.

    A rate with which a network diverged is not chosen.

    Args:
      found: the observations of `tune`.

    Raises:
      InputError: every rate of an arm diverged.
    """
    chosen = {}
    for arm, rates in by_arm(found).items():
        scores = {
            rate: (group.column("accuracy").mean(), -group.column("loss").mean())
            for rate, group in rates.items()
        }
        finite = {rate: score for rate, score in scores.items() if np.isfinite(score).all()}
        if not finite:
            raise InputError(
                f"train.learning_rate must be lower: {arm} diverged with each of "
                f"{', '.join(f'{rate:g}' for rate in scores)}."
            )
        chosen[arm] = max(finite, key=lambda rate: finite[rate])
    return chosen


def rate_factors(chosen: Mapping[str, float], learning_rate: float) -> dict[str, float]:
    """Chosen rates as `TunedConfig.rate_factors` holds them: in units of a rate, without ones.

    Args:
      chosen: the learning rate of each arm.
      learning_rate: that of the configuration, `train.learning_rate`.
    """
    factors = {arm: _rounded(rate / learning_rate) for arm, rate in chosen.items()}
    return {arm: factor for arm, factor in factors.items() if factor != 1}


def by_arm(found: Observations) -> dict[str, dict[float, Observations]]:
    """The observations of `tune` by the name of the arm and the learning rate."""
    factors = [name for name in found.conditions if name != RATE]
    arms: dict[str, dict[float, Observations]] = {}
    for (rate, *values), group in found.groups(RATE, *factors).items():
        arms.setdefault(arm_name(values), {})[rate] = group
    return arms


def arm_name(values: list[Any]) -> str:
    """The values of an arm's factors in one line, `tiled(tile=2) translated`."""
    return " ".join(map(str, values))


def _rounded(value: float) -> float:
    """To three digits, so that a third of a rate times three is that rate again."""
    return float(f"{value:.3g}")
