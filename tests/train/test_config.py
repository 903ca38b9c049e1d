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
        ({"steps": 0}, "steps must be at least 1, got 0."),
        ({"batch_size": 2.5}, "batch_size must be of type int, got 2.5."),
        ({"log_every": True}, "log_every must be of type int, got True."),
        ({"eval_every": -1}, "eval_every must be at least 0, got -1."),
        ({"eval_doubling": True}, "eval_every must be at least 1 for eval_doubling=True, got 0."),
        ({"checkpoint_every": -3}, "checkpoint_every must be at least 0, got -3."),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0, got -1."),
        ({"steps": 5, "warmup_steps": 6}, "warmup_steps must be at most the 5 steps, got 6."),
        ({"keep_every": 5, "checkpoint_every": 2}, "keep_every must be a multiple of checkpoint_"),
        (
            {"optimizer": "lion"},
            "optimizer must be sgd, adam, adamw, or MODULE:FUNCTION such as optax:lion, got 'lion",
        ),
        (
            {"schedule": "linear"},
            "schedule must be one of 'constant', 'cosine', 'exponential', got 'linear'.",
        ),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0."),
        ({"learning_rate": float("nan")}, "learning_rate must be positive and finite, got nan."),
        ({"learning_rate": float("inf")}, "learning_rate must be positive and finite, got inf."),
        ({"decay_rate": 1.5}, "decay_rate must be above 0 and at most 1, got 1.5."),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, got 1.0."),
        ({"label_smoothing": -0.1}, "label_smoothing must be at least 0 and below 1, got -0.1."),
        ({"ema_start": "slow"}, "ema_start must be one of 'debiased', 'ramped', got 'slow'."),
        ({"ema_start": "ramped"}, "ema_decay must be above 0 for ema_start='ramped', got 0."),
        ({"ema_decay": 1.0}, "ema_decay must be at least 0 and below 1, got 1.0."),
        ({"gradient_clip": -1.0}, "gradient_clip must be at least 0 and finite, got -1.0."),
        ({"optimizer": "sgd", "weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"schedule": "exponential"}, "decay_steps must be at least 1 for schedule='exponential'"),
        ({"nesterov": True, "momentum": 0}, "momentum must be above 0 for nesterov=True"),
        ({"decay_only": ("head",)}, "weight_decay must be above 0 for decay_only=('head',)"),
        (
            {"optimizer": "adam", "weight_decay": 0.1},
            "weight_decay must be 0 for optimizer='adam', got 0.1: take optimizer='adamw'",
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
