"""Configurations: wrong values are refused in a sentence, and no jax is loaded for them."""

import dataclasses
import subprocess
import sys

import pytest

from cnnjax.train.config import TrainConfig

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"steps": 0}, "steps=0 must be an integer of at least 1."),
        ({"batch_size": 2.5}, "batch_size=2.5 must be an integer of at least 1."),
        ({"log_every": True}, "log_every=True must be an integer of at least 1."),
        ({"eval_every": -1}, "eval_every=-1 must be an integer of at least 0."),
        ({"checkpoint_every": -3}, "checkpoint_every=-3 must be an integer of at least 0."),
        ({"warmup_steps": -1}, "warmup_steps=-1 must be an integer of at least 0."),
        ({"steps": 5, "warmup_steps": 6}, "warmup_steps=6 must not be more than steps=5."),
        ({"optimizer": "lion"}, "optimizer='lion' must be one of 'sgd', 'adam', 'adamw'."),
        (
            {"schedule": "linear"},
            "schedule='linear' must be one of 'constant', 'cosine', 'exponential'.",
        ),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be positive and finite."),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be positive and finite."),
        ({"learning_rate": float("inf")}, "learning_rate=inf must be positive and finite."),
        ({"decay_rate": 1.5}, "decay_rate=1.5 must be above 0 and at most 1."),
        ({"momentum": 1.0}, "momentum=1.0 must be at least 0 and below 1."),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1 must be at least 0 and below 1."),
        ({"ema_decay": 1.0}, "ema_decay=1.0 must be at least 0 and below 1."),
        ({"ema_start": "slow"}, "ema_start='slow' must be one of 'debiased', 'ramped'."),
        ({"ema_start": "ramped"}, "ema_start='ramped' needs an ema_decay above 0"),
        ({"gradient_clip": -1.0}, "gradient_clip=-1.0 must be at least 0 and finite."),
        ({"optimizer": "sgd", "weight_decay": -1.0}, "weight_decay=-1.0 must be at least 0"),
        ({"schedule": "exponential"}, "needs decay_steps of at least 1, got decay_steps=0."),
        ({"nesterov": True, "momentum": 0}, "nesterov=True needs a momentum above 0"),
        (
            {"optimizer": "adam", "weight_decay": 0.1},
            "got weight_decay=0.1; take optimizer='adamw'",
        ),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(values, sentence):
    with pytest.raises(ValueError) as refusal:
        TrainConfig(**values)
    assert sentence in str(refusal.value)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().steps = 3


def test_reading_a_configuration_loads_no_jax():
    program = "import sys, cnnjax.train.config; print('jax' in sys.modules)"
    control = "import sys, cnnjax.train.optimizer; print('jax' in sys.modules)"
    run = [
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        for text in (program, control)
    ]
    assert [r.stdout.strip() for r in run] == ["False", "True"]
