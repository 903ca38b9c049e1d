"""Which learning rate each compared arm is to have, from the observations of a tuning run."""

from __future__ import annotations

from collections.abc import Mapping

from cnnjax.run.cells import RATE, arm_name, rounded
from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations

with lazy_imports():
    import numpy as np


def chosen_rates(found: Observations) -> dict[str, float]:
    """The learning rate of each arm: the highest mean accuracy; of equal ones, the lowest loss.

    A rate with which a network diverged is not chosen.

    Args:
      found: the observations of `train.tuning.tune`.

    Raises:
      InputError: every rate of an arm diverged.
    """
    chosen = {}
    for arm, rates in by_arm(found).items():
        trained = {rate: group for rate, group in rates.items() if "accuracy" in group.numbers}
        scores = {
            rate: (group.column("accuracy").mean(), -group.column("loss").mean())
            for rate, group in trained.items()
        }
        finite = {rate: score for rate, score in scores.items() if np.isfinite(score).all()}
        if not finite:
            raise InputError(
                f"train.learning_rate must be lower: {arm} diverged with each of "
                f"{', '.join(f'{rate:g}' for rate in rates)}."
            )
        chosen[arm] = max(finite, key=lambda rate: finite[rate])
    return chosen


def rate_factors(chosen: Mapping[str, float], learning_rate: float) -> dict[str, float]:
    """Chosen rates as `TunedConfig.rate_factors` holds them: in units of a rate, without ones.

    Args:
      chosen: the learning rate of each arm.
      learning_rate: that of the configuration, `train.learning_rate`.
    """
    factors = {arm: rounded(rate / learning_rate) for arm, rate in chosen.items()}
    return {arm: factor for arm, factor in factors.items() if factor != 1}


def by_arm(found: Observations) -> dict[str, dict[float, Observations]]:
    """The observations of `train.tuning.tune` by the name of the arm and the learning rate."""
    factors = [name for name in found.conditions if name != RATE]
    arms: dict[str, dict[float, Observations]] = {}
    for (rate, *values), group in found.groups(RATE, *factors).items():
        arms.setdefault(arm_name(values), {})[rate] = group
    return arms
