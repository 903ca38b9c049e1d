"""Studies run without training: what every cell trains and evaluates is written down.

`watch` takes the place of `Network.train`, `Network.evaluate` and `Network.correct`. A "trained"
state is the initial one with its step at the end and every parameter changed, so that what is
measured before training and after it differs; every evaluation gives an accuracy of its own, so
that an observation tells from which evaluation it comes.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.tasks.network import Network
from cnnjax.train.parallel import replicate

SCALE, SHIFT = 1.25, 0.05
"""What "training" does to every parameter: times the first, plus the second."""


def changed(params: Any) -> Any:
    """Parameters after "training", on the host: jax would compile each shape of them."""
    scale, shift = np.float32(SCALE), np.float32(SHIFT)
    return jax.tree.map(lambda leaf: scale * np.asarray(leaf) + shift, params)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A call of `Network.train`."""

    network: Network
    factors: dict[str, Any]
    """Of the cell, by name."""
    values: dict[str, Any]
    """Of the source: how far images are translated, say."""
    evaluate: Callable[[Any], dict[str, float]] | None = None
    """What a real training calls every `eval_every` steps and after the last."""


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A call of `Network.evaluate`."""

    network: Network
    seed: int
    """Of the state."""
    trained: bool
    """Whether the state is one after training."""
    split: str
    repeats: int
    values: dict[str, Any]
    """Of the source."""
    accuracy: float
    """What the call gave, different at every call; of `Network.correct` the mean."""


class Watch:
    """The calls of a study, in order."""

    def __init__(self) -> None:
        self.trained: list[Trained] = []
        self.evaluated: list[Evaluated] = []

    def run(self, module: Any, config: Any, directory: Path, *, page: bool = True) -> Observations:
        """Run the study; returns its observations.

        Without its page, which takes as long as all the rest, the page must have been given these
        observations, once.
        """
        record, paged = Record.open(directory, config), []
        try:
            with pytest.MonkeyPatch.context() as patch:
                if not page:
                    patch.setattr(module, "page", lambda *given: paged.append(given))
                module.run(config, record)
            found = Observations.read(directory)
            if not page:
                ((shown, given),) = paged
                assert (shown.rows, given) == (found.rows, record)
            return found
        finally:
            record.release()

    def evaluation(self, accuracy: float) -> Evaluated:
        """The evaluation that gave this accuracy (or left this error, 1 - accuracy)."""
        found = [
            call
            for call in self.evaluated
            if accuracy in (call.accuracy, pytest.approx(1 - call.accuracy, abs=1e-12))
        ]
        assert len(found) == 1, f"{accuracy} is the accuracy of {len(found)} evaluations."
        return found[0]


@pytest.fixture
def watch(monkeypatch) -> Watch:
    """A `Watch`; in this test nothing is trained."""
    calls = Watch()

    def train(self, record, cell, *, evaluate=None, **values):
        calls.trained.append(Trained(self, dict(cell), values, evaluate))
        # What a real training writes beside its checkpoints and metrics.
        record.write_task(self.task.dataset.name, self.task.facts())
        record.metrics(self.training.config.steps, network=cell.name, loss=1.0, accuracy=0.5)
        self.task.source("train", **values)  # refuses values that the task does not take
        state = self.initial(cell["seed"])
        devices = self.training.devices
        params = replicate(changed(state.params), devices)
        ema = None if state.ema_params is None else params
        return state.replace(
            step=replicate(np.int32(int(state.step) + self.training.config.steps), devices),
            params=params,
            ema_params=ema,
        )

    def evaluate(self, state, split="test", *, repeats=1, **values):
        self.task.source(split, **values)
        accuracy = 0.1 + 0.001 * (len(calls.evaluated) + 1)
        return evaluated(self, state, split, repeats, values, accuracy)

    def correct(self, state, split="test", **values):
        self.task.source(split, **values)
        examples = len(self.task.split(split))
        found = 0.1 + 0.001 * (len(calls.evaluated) + 1) + np.linspace(-0.05, 0.05, examples)
        evaluated(self, state, split, 1, values, found.mean())
        return found

    def evaluated(network, state, split, repeats, values, accuracy):
        calls.evaluated.append(
            Evaluated(
                network, int(state.seed), int(state.step) > 0, split, repeats, values, accuracy
            )
        )
        return {"accuracy": accuracy, "loss": 1 + accuracy, "count": 1.0}

    monkeypatch.setattr(Network, "train", train)
    monkeypatch.setattr(Network, "evaluate", evaluate)
    monkeypatch.setattr(Network, "correct", correct)
    return calls
