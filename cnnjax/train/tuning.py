"""A learning rate for each compared arm, chosen on validation images from the same short list."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from cnnjax.run.cells import RATE, Cell, arm_name, rounded
from cnnjax.run.config import CheckedConfig, Distinct, Seed
from cnnjax.run.record import Record
from cnnjax.train.config import Rate, TrainConfig
from cnnjax.train.stops import Diverged

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
        return tuple(rounded(factor * self.train.learning_rate) for factor in FACTORS)

    def train_for(self, cell: Mapping[str, Any], *factors: str) -> TrainConfig:
        """How to train the network of a cell: with its own rate in tuning, else with its arm's.

        Args:
          cell: of the study, or of `tune`.
          *factors: those whose values make the arm, in the order in which `tune` has them.
        """
        arm = arm_name([cell[factor] for factor in factors])
        chosen = rounded(self.rate_factors.get(arm, 1) * self.train.learning_rate)
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
