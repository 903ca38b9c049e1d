"""One step: its numbers against formulas in float64, and against numbers committed here."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from cnnjax.train.config import TrainConfig
from cnnjax.train.losses import cross_entropy, l2_terms
from cnnjax.train.state import (
    AUGMENTATION,
    DROPOUT,
    INIT,
    create_state,
    example_keys,
    step_key,
)
from cnnjax.train.step import moving_average, ramped_average
from cnnjax.train.training import compile_training


class Linear(linen.Module):
    """Logits linear in the pixels; takes no `train`."""

    @linen.compact
    def __call__(self, image):
        return linen.Dense(3)(image.reshape(len(image), -1))


class Network(linen.Module):
    """Convolution, BatchNorm over all devices, dense."""

    dropout: float = 0.0

    @linen.compact
    def __call__(self, image, train: bool = False):
        # A bias here, which BatchNorm takes away again, would have a gradient of exactly zero: Adam
        # divides its rounding by itself, and moves it by the learning rate, up on one processor and
        # down on another. No number could then be expected of training.
        x = linen.Conv(4, (3, 3), use_bias=False)(image)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9, axis_name="batch")(x)
        x = linen.relu(x)
        x = linen.Dropout(self.dropout, deterministic=not train)(x)
        return linen.Dense(3)(x.reshape(len(x), -1))


def waves(n=8):
    """Images [n, 4, 4, 1] and labels [n] from a formula: the same on every machine."""
    grid = np.arange(n * 16, dtype=np.float64).reshape(n, 4, 4, 1)
    label = np.arange(n, dtype=np.int32) % 3
    image = np.sin(0.7 * grid) + 0.3 * label[:, None, None, None]
    return {
        "image": image.astype(np.float32),
        "label": label,
        "position": np.arange(n, dtype=np.int32),
    }


def shares(batch, devices=4):
    return {k: v.reshape(devices, len(v) // devices, *v.shape[1:]) for k, v in batch.items()}


def train(model, config, steps, batch=None):
    """The state and the metrics after each of `steps` updates, on four devices."""
    batch = waves() if batch is None else batch
    training = compile_training(model, config)
    state = training.init(0, batch["image"])
    history = []
    for _ in range(steps):
        state, metrics = training.train_step(state, None, shares(batch))
        history.append({k: float(v) for k, v in metrics.items()})
    return state, history


def test_updates_equal_logistic_regression_in_float64():
    """gradient of the mean cross-entropy of x W + b: x^T (softmax - target) / n."""
    config = TrainConfig(
        batch_size=8,
        optimizer="sgd",
        schedule="constant",
        learning_rate=0.3,
        momentum=0.9,
        weight_decay=0.1,
        label_smoothing=0.2,
        gradient_clip=0.5,
    )
    batch = waves()
    x = batch["image"].reshape(8, 16).astype(np.float64)
    target = 0.8 * np.eye(3)[batch["label"]] + 0.2 / 3
    start = compile_training(Linear(), config).init(0, batch["image"]).params["Dense_0"]
    kernel, bias = np.float64(start["kernel"]), np.float64(start["bias"])
    velocity = [0.0, 0.0]
    clipped = []
    expected = []
    for _ in range(4):
        logits = x @ kernel + bias
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        gradient = [x.T @ (p - target) / 8, (p - target).mean(axis=0)]
        norm = np.sqrt(sum((g**2).sum() for g in gradient))
        clipped.append(norm > 0.5)
        expected.append(
            {
                "loss": -(target * np.log(p)).sum(),
                "correct": float((logits.argmax(axis=1) == batch["label"]).sum()),
                "count": 8.0,
                "gradient_norm": norm,
                "learning_rate": 0.3,
                "total_loss": -(target * np.log(p)).sum() / 8 + 0.1 / 2 * (kernel**2).sum(),
            }
        )
        velocity = [
            0.9 * v + g * min(1, 0.5 / norm) for v, g in zip(velocity, gradient, strict=True)
        ]
        kernel = kernel - 0.3 * (velocity[0] + 0.1 * kernel)
        bias = bias - 0.3 * velocity[1]
    assert set(clipped) == {True, False}

    state, history = train(Linear(), config, 4)
    for ours, theirs in zip(history, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    np.testing.assert_allclose(state.params["Dense_0"]["kernel"], kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.params["Dense_0"]["bias"], bias, rtol=1e-5, atol=1e-6)
    assert int(state.step) == 4


GOLDEN = {
    "loss": [1.2141929, 0.98718762, 0.80726123],
    "gradient_norm": [1.2268516, 1.1045043, 0.68477398],
    "kernel_norm": 1.9753218,
    "running_mean": [-0.047039077, -0.012153601, -0.010896474, 0.021204848],
}


@pytest.mark.fast
def test_golden_training_step():
    config = TrainConfig(
        steps=3,
        batch_size=8,
        optimizer="adamw",
        learning_rate=0.05,
        weight_decay=0.01,
        label_smoothing=0.1,
    )
    state, history = train(Network(), config, 3)
    measured = {
        "loss": [m["loss"] / m["count"] for m in history],
        "gradient_norm": [m["gradient_norm"] for m in history],
        "kernel_norm": float(jnp.linalg.norm(state.params["Dense_0"]["kernel"])),
        "running_mean": np.asarray(state.batch_stats["BatchNorm_0"]["mean"]).tolist(),
    }
    for name, expected in GOLDEN.items():
        # Processors and versions of XLA sum in other orders; well-conditioned steps keep it small.
        assert measured[name] == pytest.approx(expected, rel=1e-5, abs=1e-6), (
            f"Training does not give the {name} it used to give. If nothing was meant to change "
            "the numbers of training, this is a bug: find the commit that did it. If the change "
            f"was intended, say so in the commit and put this in place of GOLDEN: {measured}"
        )


def test_smoothed_cross_entropy_by_hand():
    # Probabilities 1/2, 1/4, 1/4; target 0.7 + 0.1, 0.1, 0.1 with smoothing 0.3.
    logits = jnp.log(jnp.array([[2.0, 1.0, 1.0]]))
    expected = 0.8 * np.log(2) + 0.2 * np.log(4)
    assert float(cross_entropy(logits, jnp.array([0]), 0.3)[0]) == pytest.approx(expected, rel=1e-6)
    assert float(cross_entropy(logits, jnp.array([1]))[0]) == pytest.approx(np.log(4), rel=1e-6)


def test_moving_average_is_the_weighted_mean_of_what_followed_each_update():
    values = [3.0, -1.0, 2.0, 7.0]
    average = jnp.float32(100.0)  # what was there before must not count
    for step, value in enumerate(values, start=1):
        average = moving_average(average, jnp.float32(value), jnp.int32(step), 0.75)
        weights = 0.75 ** np.arange(step)[::-1]
        expected = np.average(values[:step], weights=weights)
        # A rounding of the 100 that is left behind.
        assert float(average) == pytest.approx(expected, abs=2e-5)


def test_ramped_average_as_published():
    """min(decay, (1 + n) / (10 + n)): 2/11, 3/12, then 0.3, the decay, below 4/13."""
    values = [3.0, -1.0, 2.0, 7.0]
    average, expected = jnp.float32(100.0), 100.0
    for step, (value, decay) in enumerate(zip(values, (2 / 11, 3 / 12, 0.3, 0.3)), start=1):
        average = ramped_average(average, jnp.float32(value), jnp.int32(step), 0.3)
        expected = decay * expected + (1 - decay) * value
        assert float(average) == pytest.approx(expected, rel=1e-6)


def test_the_configuration_chooses_the_average():
    batch = waves()
    old = compile_training(Linear(), TrainConfig(batch_size=8)).init(0, batch["image"]).params
    for start, share in (("debiased", 0.0), ("ramped", 2 / 11)):
        config = TrainConfig(batch_size=8, learning_rate=0.1, ema_decay=0.9, ema_start=start)
        state, _ = train(Linear(), config, 1)
        for before, after, average in zip(
            *map(jax.tree.leaves, (old, state.params, state.ema_params)), strict=True
        ):
            expected = share * np.asarray(before) + (1 - share) * np.asarray(after)
            np.testing.assert_allclose(average, expected, atol=1e-6)


def test_total_loss_is_the_loss_and_the_squared_weights_that_decay():
    """Plain gradient descent on it, by hand, is what decoupled decay does."""
    config = TrainConfig(
        batch_size=8,
        optimizer="sgd",
        momentum=0.0,
        schedule="constant",
        learning_rate=0.3,
        weight_decay=0.1,
    )
    batch = waves()
    start = compile_training(Linear(), config).init(0, batch["image"]).params["Dense_0"]
    kernel = np.float64(start["kernel"])
    state, (metrics,) = train(Linear(), config, 1)
    loss = metrics["loss"] / metrics["count"]
    assert metrics["total_loss"] == pytest.approx(loss + 0.05 * (kernel**2).sum(), rel=1e-6)
    x = batch["image"].reshape(8, 16)

    def total(kernel):
        logits = x @ kernel + start["bias"][None]
        rows = jax.nn.log_softmax(logits)[jnp.arange(8), batch["label"]]
        return -rows.mean() + 0.05 * (kernel**2).sum()

    gradient = jax.grad(total)(start["kernel"])
    np.testing.assert_allclose(
        state.params["Dense_0"]["kernel"], start["kernel"] - 0.3 * gradient, rtol=1e-5, atol=1e-6
    )
    only = dataclasses.replace(config, decay_only=("second",))
    params = {"first": {"kernel": jnp.full(2, 3.0)}, "second": {"kernel": jnp.full(2, 2.0)}}
    assert float(l2_terms(params, only)) == pytest.approx(0.05 * 8)
    assert "total_loss" not in train(Linear(), TrainConfig(batch_size=8), 1)[1][0]


def test_evaluation_uses_the_moving_average():
    batch = waves()
    config = TrainConfig(batch_size=8, learning_rate=0.1, ema_decay=0.9)
    training = compile_training(Linear(), config)
    state = training.init(0, batch["image"])
    for _ in range(3):
        state, _ = training.train_step(state, None, shares(batch))
    given = shares({"image": batch["image"], "label": batch["label"], "weight": np.ones(8)})

    def loss(params):
        logits = batch["image"].reshape(8, 16) @ params["Dense_0"]["kernel"]
        logits = np.float64(logits + params["Dense_0"]["bias"][None])
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return -np.log(p[np.arange(8), batch["label"]]).sum()

    measured = float(training.eval_step(state, None, given)["loss"])
    assert measured == pytest.approx(loss(state.ema_params), rel=1e-5)
    assert measured != pytest.approx(loss(state.params), rel=1e-2)


def test_running_statistics_are_those_of_the_whole_batch():
    state, _ = train(Network(), TrainConfig(batch_size=8), 1)
    start = compile_training(Network(), TrainConfig(batch_size=8)).init(0, waves()["image"])
    activation = np.float64(
        linen.Conv(4, (3, 3), use_bias=False).apply(
            {"params": start.params["Conv_0"]}, waves()["image"]
        )
    )
    running = state.batch_stats["BatchNorm_0"]
    # Begin at mean 0 and variance 1, and move by a tenth.
    mean, variance = activation.mean((0, 1, 2)), activation.var((0, 1, 2))
    np.testing.assert_allclose(running["mean"], 0.1 * mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(running["var"], 0.9 + 0.1 * variance, rtol=1e-5)


class Spy(linen.Module):
    """Notes the dtypes that a network computes in."""

    seen: tuple = ()

    @linen.compact
    def __call__(self, image, train: bool = False):
        x = Network()(image, train)
        DTYPES.append((image.dtype, x.dtype))
        return x


DTYPES = []


@pytest.mark.parametrize("bfloat16", [False, True])
def test_bfloat16_is_inside_the_network_only(bfloat16):
    DTYPES.clear()
    config = TrainConfig(batch_size=8, bfloat16=bfloat16, ema_decay=0.5, learning_rate=0.01)
    state, history = train(Spy(), config, 2)
    inside = jnp.dtype(jnp.bfloat16 if bfloat16 else jnp.float32)
    assert DTYPES[-1] == (inside, inside)
    leaves = jax.tree.leaves((state.params, state.batch_stats, state.ema_params, state.opt_state))
    assert {x.dtype for x in leaves} == {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}
    exact = train(Spy(), TrainConfig(batch_size=8, learning_rate=0.01), 2)[1]
    # Eight bits of mantissa.
    assert history[1]["loss"] == pytest.approx(exact[1]["loss"], rel=2e-2)


def test_dropout_changes_with_the_step_and_the_seed_and_repeats():
    config = TrainConfig(batch_size=8, optimizer="sgd", learning_rate=1e-30, schedule="constant")
    model = Network(dropout=0.5)
    _, first = train(model, config, 2)
    _, again = train(model, config, 2)
    losses = [m["loss"] for m in first]
    assert losses == [m["loss"] for m in again]
    # The parameters stand still, so that nothing but the masks makes a difference.
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)
    _, without = train(Network(), config, 2)
    assert without[0]["loss"] == without[1]["loss"]


def test_keys_differ_by_seed_purpose_step_and_position():
    def state(seed, step):
        made = create_state(Linear(), optax.identity(), seed, jnp.zeros((1, 4)))
        return made.replace(step=jnp.int32(step))

    keys = [
        example_keys(state(seed, step), purpose, jnp.arange(3))
        for seed in (0, 1)
        for step in (0, 1)
        for purpose in (INIT, AUGMENTATION, DROPOUT)
    ]
    data = np.concatenate([jax.random.key_data(k) for k in keys])
    assert len(np.unique(data, axis=0)) == 36
    # The documented derivation, written out.
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(1), AUGMENTATION), 5)
    assert step_key(state(1, 5), AUGMENTATION) == key
    assert example_keys(state(1, 5), AUGMENTATION, jnp.array([7]))[0] == jax.random.fold_in(key, 7)


class Caching(linen.Module):
    """A network with variables that training does not keep."""

    @linen.compact
    def __call__(self, image):
        self.variable("cache", "last", jnp.zeros, ())
        return image


def test_wrong_models_and_batches_are_refused_in_a_sentence():
    config = TrainConfig(batch_size=8)
    batch = shares(waves())
    training = compile_training(Linear(), config)
    state = training.init(0, waves()["image"])
    with pytest.raises(ValueError, match=r"the variables of Caching must be .* got \['cache'\]"):
        compile_training(Caching(), config).init(0, waves()["image"])
    with pytest.raises(ValueError, match=r"lacks \['position'\].*got \['image', 'label'\]"):
        training.train_step(state, None, {"image": batch["image"], "label": batch["label"]})
    with pytest.raises(ValueError, match=r"lacks \['weight'\]"):
        training.eval_step(state, None, batch)
    with pytest.raises(ValueError, match="must be floating and standardised, got uint8"):
        training.train_step(state, None, {**batch, "image": batch["image"].astype(np.uint8)})
    with pytest.raises(ValueError, match=r"seed=-1 must be at least 0 and below 2\*\*32"):
        training.init(-1, waves()["image"])
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 4 devices, got 6"):
        compile_training(Linear(), TrainConfig(batch_size=6))


class TwoHeads(linen.Module):
    """Sows the logits of a second head in training."""

    @linen.compact
    def __call__(self, image, train: bool = False):
        flat = image.reshape(len(image), -1)
        other = linen.Dense(3, name="other")(flat)
        if train:
            self.sow("auxiliary", "other_logits", other)
        return linen.Dense(3, name="main")(flat)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_auxiliary_logits_add_their_share_of_the_loss(weight):
    """Each head is logistic regression: the gradient of the second is scaled by the weight."""
    config = TrainConfig(
        batch_size=8,
        optimizer="sgd",
        momentum=0.0,
        schedule="constant",
        learning_rate=1.0,
        auxiliary_weight=weight,
    )
    batch = waves()
    training = compile_training(TwoHeads(), config)
    start = jax.device_get(training.init(0, batch["image"]).params)
    state, history = train(TwoHeads(), config, 1)
    x = batch["image"].reshape(8, -1).astype(np.float64)
    target = np.eye(3)[batch["label"]]
    losses = {}
    for head, scale in (("main", 1.0), ("other", weight)):
        kernel = np.asarray(start[head]["kernel"], np.float64)
        odds = np.exp(x @ kernel)
        probability = odds / odds.sum(1, keepdims=True)
        losses[head] = -np.log((probability * target).sum(1)).mean()
        expected = kernel - scale * x.T @ (probability - target) / 8
        np.testing.assert_allclose(state.params[head]["kernel"], expected, atol=1e-5)
    # What is reported is what is minimised.
    total = losses["main"] + weight * losses["other"]
    np.testing.assert_allclose(history[0]["loss"] / 8, total, rtol=1e-5)


class Pixels(linen.Module):
    """Logits of every pixel."""

    @linen.compact
    def __call__(self, image):
        return linen.Conv(2, (1, 1), name="conv")(image)


def test_labels_of_every_position_count_as_their_mean():
    logits = np.array([[[2.0, 0.0], [0.0, 1.0]]])
    label = np.array([[0, 0]])
    # log(1 + e^-2) and log(1 + e).
    expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(1.0))) / 2
    found = cross_entropy(jnp.asarray(logits), jnp.asarray(label))
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    batch = waves()
    batch["label"] = (batch["image"][..., 0] > 0.2).astype(np.int32)
    config = TrainConfig(steps=40, batch_size=8, learning_rate=0.3, schedule="constant")
    _, history = train(Pixels(), config, 40, batch)
    assert history[-1]["correct"] / 8 > 0.97
    assert history[0]["correct"] / 8 < 0.95
