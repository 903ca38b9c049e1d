"""What a network sows in training is added to the loss, read by it, or refused; a loss or a step of
one's own takes the place of ours."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.train.config import TrainConfig
from cnnjax.train.losses import Classification, cross_entropy
from cnnjax.train.parallel import replicate, shard
from cnnjax.train.step import train_step
from cnnjax.train.training import compile_training

CONFIG = TrainConfig(
    batch_size=8, optimizer="sgd", momentum=0.0, schedule="constant", learning_rate=0.5
)


class Penalised(nn.Module):
    """Logistic regression that sows a penalty on its kernel, and what it computed."""

    collection: str = "losses"
    weight: float = 0.1

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.normal(1.0), (x[0].size, 3))
        self.sow(self.collection, "penalty", self.weight * jnp.sum(kernel**2) / 2)
        self.sow("intermediates", "seen", x)
        return x.reshape(len(x), -1) @ kernel


class PenalisedInTraining(nn.Module):
    """Sows in training alone."""

    @nn.compact
    def __call__(self, x, train=False):
        kernel = self.param("kernel", nn.initializers.normal(1.0), (x[0].size, 3))
        if train:
            self.sow("penalties", "penalty", jnp.sum(kernel**2))
        return x.reshape(len(x), -1) @ kernel


def batch():
    random = np.random.default_rng(0)
    return {
        "image": random.normal(size=(8, 2, 2, 1)).astype(np.float32),
        "label": random.integers(0, 3, 8).astype(np.int32),
        "position": np.arange(8, dtype=np.int32),
    }


def updated(model, **options):
    """Parameters before and after one step on four devices, and the metrics."""
    training = compile_training(model, CONFIG, **options)
    state = training.init(0, batch()["image"])
    before = jax.device_get(state.params)
    state = replicate(state, training.devices, copy=True)
    state, metrics = training.train_step(state, None, shard(batch(), training.devices))
    return before["kernel"], jax.device_get(state.params)["kernel"], jax.device_get(metrics)


def expected_gradient(kernel, examples):
    """Of the mean cross-entropy of logistic regression, in float64."""
    x = examples["image"].reshape(8, -1).astype(np.float64)
    odds = np.exp(x @ kernel)
    probability = odds / odds.sum(1, keepdims=True)
    losses = -np.log(probability[np.arange(8), examples["label"]])
    return x.T @ (probability - np.eye(3)[examples["label"]]) / 8, losses.mean()


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_a_sown_loss_is_added_once(weight):
    before, after, metrics = updated(Penalised(weight=weight))
    kernel = before.astype(np.float64)
    gradient, loss = expected_gradient(kernel, batch())
    np.testing.assert_allclose(after, kernel - 0.5 * (gradient + weight * kernel), atol=1e-5)
    total = loss + weight * (kernel**2).sum() / 2
    np.testing.assert_allclose(metrics["loss"] / metrics["count"], total, rtol=1e-5)


def test_what_nothing_reads_is_refused():
    # What is sown at initialisation, and not read, would become state.
    for options in ({}, {"loss": with_names("auxiliary")}):
        with pytest.raises(ValueError, match=r"which training keeps, got \['penalties'\] as well"):
            updated(Penalised(collection="penalties"), **options)
    with pytest.raises(
        ValueError, match=r"into 'losses', 'auxiliary' or 'intermediates' only, got"
    ):
        updated(PenalisedInTraining())


def with_names(*reads):
    def loss(logits, batch, sown):
        return cross_entropy(logits, batch["label"])

    loss.reads = reads
    return loss


def test_a_loss_of_ones_own_reads_what_it_names():
    def loss(logits, batch, sown):
        (penalty,) = jax.tree.leaves(sown["penalties"])
        return 2 * cross_entropy(logits, batch["label"]) + penalty

    loss.reads = ("penalties",)
    before, after, _ = updated(Penalised(collection="penalties"), loss=loss)
    kernel = before.astype(np.float64)
    gradient, _ = expected_gradient(kernel, batch())
    np.testing.assert_allclose(after, kernel - 0.5 * (2 * gradient + 0.1 * kernel), atol=1e-5)


def test_a_step_of_ones_own():
    def step(state, batch, **options):
        new, metrics = train_step(state, batch, **options)
        return new.replace(params=jax.tree.map(jnp.zeros_like, new.params)), metrics

    _, after, _ = updated(Penalised(), step=step)
    assert not after.any()


def test_smoothing_and_auxiliary_weight_come_from_the_configuration():
    config = TrainConfig(label_smoothing=0.25, auxiliary_weight=0.5)
    assert Classification.of(config) == Classification(0.25, 0.5)
    logits = jnp.array([[0.0, np.log(3.0)]])
    # -log(1/4), -log(3/4); the target is 0.875 and 0.125.
    first, second = np.log(4), np.log(4 / 3)
    own = 0.875 * first + 0.125 * second
    found = Classification.of(config)(
        logits, {"label": jnp.array([0])}, {"auxiliary": {"head": (logits[:, ::-1],)}}
    )
    other = 0.875 * second + 0.125 * first
    np.testing.assert_allclose(found, [own + 0.5 * other], rtol=1e-6)
