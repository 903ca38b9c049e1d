"""Schedules and update rules against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.run.config import InputError
from cnnjax.train.config import TrainConfig
from cnnjax.train.optimizer import decayed, optimizer, schedule


def rates(steps, **values):
    rate = schedule(TrainConfig(steps=8, learning_rate=0.5, **values))
    return [float(rate(step)) for step in steps]


@pytest.mark.fast
def test_constant_schedule_and_linear_warmup():
    # 0.5 * step / 4, then 0.5.
    expected = [0.0, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    np.testing.assert_allclose(
        rates(range(7), schedule="constant", warmup_steps=4), expected, rtol=1e-6
    )


def test_cosine_schedule_falls_to_zero_at_the_last_step():
    # cos of 0, 60, 90, 120 and 180 degrees is 1, 1/2, 0, -1/2, -1.
    rate = schedule(TrainConfig(steps=8, learning_rate=0.5, schedule="cosine", warmup_steps=2))
    steps = [2, 4, 5, 6, 8]
    expected = [0.5, 0.375, 0.25, 0.125, 0.0]
    np.testing.assert_allclose([float(rate(s)) for s in steps], expected, rtol=1e-6, atol=1e-7)


def test_exponential_schedule():
    decay = {"schedule": "exponential", "decay_steps": 2, "decay_rate": 0.25}
    # A quarter every two steps, hence a half every step.
    np.testing.assert_allclose(rates(range(4), **decay), [0.5, 0.25, 0.125, 0.0625], rtol=1e-6)
    np.testing.assert_allclose(
        rates(range(4), staircase=True, **decay), [0.5, 0.5, 0.125, 0.125], rtol=1e-6
    )
    np.testing.assert_allclose(
        rates(range(4), warmup_steps=1, **decay), [0.0, 0.5, 0.25, 0.125], rtol=1e-6
    )


def parameter_after(gradients, *, start=1.0, **values):
    """A parameter named kernel after one update by each of the gradients."""
    config = TrainConfig(schedule="constant", **values)
    transformation = optimizer(config)
    params = {"kernel": jnp.float32(start)}
    state = transformation.init(params)
    for gradient in gradients:
        updates, state = transformation.update({"kernel": jnp.float32(gradient)}, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return float(params["kernel"])


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        # 1 - 0.1 * 2 - 0.1 * 4
        (0.4, {"momentum": 0.0}),
        # velocities 2 and 4 + 0.5 * 2 = 5: 1 - 0.1 * 2 - 0.1 * 5
        (0.3, {"momentum": 0.5}),
        # Nesterov: 2 + 0.5 * 2 = 3, and 4 + 0.5 * 5 = 6.5: 1 - 0.1 * 3 - 0.1 * 6.5
        (0.05, {"momentum": 0.5, "nesterov": True}),
        # decoupled: 1 - 0.1 * (2 + 0.5 * 1) = 0.75, then 0.75 - 0.1 * (5 + 0.5 * 0.75)
        (0.2125, {"momentum": 0.5, "weight_decay": 0.5}),
        # clipped to 1 and 1, then velocities 1 and 1.5
        (0.75, {"momentum": 0.5, "gradient_clip": 1.0}),
        # clipped to 2 (as it is) and 3 (from 4), then velocities 2 and 4
        (0.4, {"momentum": 0.5, "gradient_clip": 3.0}),
    ],
)
def test_gradient_descent_by_hand(expected, values):
    result = parameter_after([2.0, 4.0], optimizer="sgd", learning_rate=0.1, **values)
    assert result == pytest.approx(expected, abs=1e-6)


def test_adam_by_hand():
    # The first direction is the gradient's sign. After gradients 2 and 4 the corrected moments
    # are (0.09 * 2 + 0.1 * 4) / 0.19 and (0.000999 * 4 + 0.001 * 16) / 0.001999.
    second = (0.58 / 0.19) / (0.019996 / 0.001999) ** 0.5
    values = {"learning_rate": 0.1}
    adam = parameter_after([2.0, 4.0], optimizer="adam", **values)
    assert adam == pytest.approx(1 - 0.1 - 0.1 * second, abs=1e-5)
    # Decay acts beside the direction, not through the moments: 1 - 0.1 * (1 + 0.5).
    adamw = parameter_after([2.0], optimizer="adamw", weight_decay=0.5, **values)
    assert adamw == pytest.approx(0.85, abs=1e-6)


@pytest.mark.fast
def test_an_optimizer_by_import_path():
    # Lion's first direction is the gradient's sign: 1 - 0.1 * 1, and 1 - 0.1 * (1 + 0.5 * 1).
    for decay, expected in ((0.0, 0.9), (0.5, 0.85)):
        result = parameter_after(
            [2.0], optimizer="optax:lion", learning_rate=0.1, weight_decay=decay
        )
        assert result == pytest.approx(expected, abs=1e-6)
    with pytest.raises(InputError, match="must take weight_decay, but optax:sgd takes learning_ra"):
        optimizer(TrainConfig(optimizer="optax:sgd", weight_decay=0.1))
    with pytest.raises(InputError, match="must name a function, got 'optax:nonsense'"):
        optimizer(TrainConfig(optimizer="optax:nonsense"))
    with pytest.raises(InputError, match="There is no module 'nonsense' for the optimizer"):
        optimizer(TrainConfig(optimizer="nonsense:lion"))
    with pytest.raises(InputError, match="must take learning_rate, but math:sin takes x"):
        optimizer(TrainConfig(optimizer="math:sin"))
    with pytest.raises(ValueError, match=r"optimizer must be sgd, .* got 'lion'"):
        TrainConfig(optimizer="lion")


def test_clipping_is_by_the_norm_of_all_parameters_together():
    transformation = optimizer(
        TrainConfig(
            optimizer="sgd", schedule="constant", learning_rate=1.0, momentum=0, gradient_clip=1.0
        )
    )
    params = {"kernel": jnp.zeros(1), "bias": jnp.zeros(1)}
    gradient = {"kernel": jnp.full(1, 3.0), "bias": jnp.full(1, 4.0)}
    updates, _ = transformation.update(gradient, transformation.init(params), params)
    assert float(updates["kernel"][0]) == pytest.approx(-0.6)
    assert float(updates["bias"][0]) == pytest.approx(-0.8)


@pytest.mark.fast
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_decay_leaves_biases_and_norm_scales_alone(name):
    params = {
        "LowRank_0": {"kernels": jnp.ones(2), "weights": jnp.ones(2), "bias": jnp.ones(2)},
        "Conv_0": {"kernel": jnp.ones(2), "bias": jnp.ones(2)},
        "BatchNorm_0": {"scale": jnp.ones(2), "bias": jnp.ones(2)},
        "Embed_0": {"embedding": jnp.ones(2)},
    }
    transformation = optimizer(
        TrainConfig(optimizer=name, schedule="constant", learning_rate=0.5, weight_decay=0.5)
    )
    zero = jax.tree.map(jnp.zeros_like, params)
    updates, _ = transformation.update(zero, transformation.init(params), params)
    moved = {
        f"{module}.{leaf}": float(value[0])
        for module, leaves in updates.items()
        for leaf, value in leaves.items()
        if float(value[0]) != 0
    }
    assert moved == {"LowRank_0.kernels": -0.25, "Conv_0.kernel": -0.25, "Embed_0.embedding": -0.25}
    assert decayed({"kernel_size": 0, "kernel": {"bias": 0}}) == {
        "kernel_size": False,
        "kernel": {"bias": False},
    }


def test_only_the_named_modules_decay():
    params = {
        "conv1": {"kernel": 1, "bias": 1},
        "head": {"local3": {"kernel": 1, "bias": 1}},
    }
    assert decayed(params, only=("local3",)) == {
        "conv1": {"kernel": False, "bias": False},
        "head": {"local3": {"kernel": True, "bias": False}},
    }
    assert decayed(params, only=("head",))["head"]["local3"] == {"kernel": True, "bias": False}
    with pytest.raises(
        ValueError, match=r"`decay_only` must name .* conv1, head, local3, got local4"
    ):
        decayed(params, only=("local3", "local4"))
    with pytest.raises(ValueError, match="weight_decay must be above 0 for decay_only"):
        TrainConfig(optimizer="adamw", decay_only=("local3",))
