"""Training of the networks that `benchmark` compares: by cnnjax, and as usually written in Flax.

The networks have the parameters of cnnjax's under the same names, so that both can begin alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import lax

from cnnjax import models
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit
from cnnjax.train.parallel import replicate
from cnnjax.train.training import compile_training

STEPS = {"tiny": 100}
"""Updates in one call; of networks that are not named 4."""
RATE, MOMENTUM = 0.01, 0.9

Batch = Mapping[str, np.ndarray]
Updates = Callable[[Batch], tuple[Any, Any]]
"""From a batch to the parameters before and after `STEPS` updates with it."""


class CifarTutorial(nn.Module):
    """The network of TensorFlow's CIFAR-10 tutorial."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(64, (5, 5), name="conv1")(x))
        x = _normalized(nn.max_pool(x, (3, 3), (2, 2), "SAME"))
        x = _normalized(nn.relu(nn.Conv(64, (5, 5), name="conv2")(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        x = nn.relu(nn.Dense(384, name="local3")(x.reshape(len(x), -1)))
        x = nn.relu(nn.Dense(192, name="local4")(x))
        return nn.Dense(10, name="softmax_linear")(x)


class LeNet5(nn.Module):
    """LeNet-5 without connection table and trained subsampling."""

    @nn.compact
    def __call__(self, x):
        x = _squashed(nn.Conv(6, (5, 5), padding="VALID", name="C1")(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        x = _squashed(nn.Conv(16, (5, 5), padding="VALID", name="C3")(x))
        x = nn.avg_pool(x, (2, 2), (2, 2))
        x = _squashed(nn.Conv(120, (5, 5), padding="VALID", name="C5")(x))
        x = _squashed(nn.Dense(84, name="F6")(x.reshape(len(x), -1)))
        return nn.Dense(10, name="output")(x)


class Block(nn.Module):
    """Two 3x3 convolutions, and their input added."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x, train: bool):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
        conv = functools.partial(nn.Conv, self.features, (3, 3), padding=1, use_bias=False)
        z = nn.relu(norm(name="bn1")(conv(strides=self.stride, name="conv1")(x)))
        z = norm(name="bn2")(conv(name="conv2")(z))
        if self.stride > 1:
            x = x[:, :: self.stride, :: self.stride]
            x = jnp.pad(x, [(0, 0)] * 3 + [(0, self.features - x.shape[-1])])
        return nn.relu(x + z)


class ResNet20(nn.Module):
    """ResNet of 20 layers for CIFAR-10, shortcuts without weights."""

    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Conv(16, (3, 3), padding=1, use_bias=False, name="conv1")(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="bn1")(x)
        x = nn.relu(x)
        for stage, features in enumerate((16, 32, 64), start=1):
            for number in range(3):
                stride = 2 if stage > 1 and number == 0 else 1
                x = Block(features, stride, name=f"layer{stage}_{number}")(x, train)
        return nn.Dense(10, name="fc")(x.mean((1, 2)))


class Tiny(nn.Module):
    """One dense layer: what is left of a step is the host's work."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10, name="output")(x.reshape(len(x), -1))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], nn.Module, tuple[int, ...]]] = {
    "CifarTutorial": (models.CifarTutorial, CifarTutorial(), (24, 24, 3)),
    "LeNet5": (
        functools.partial(models.LeNet5, connection_table=False, trained_subsampling=False),
        LeNet5(),
        (32, 32, 1),
    ),
    "ResNet20": (models.ResNet20, ResNet20(), (32, 32, 3)),
    "tiny": (Tiny, Tiny(), (4, 4, 1)),
}
"""Each network as cnnjax has it and as it is usually written, and the shape of its images."""


def batch_of(network: str, size: int, number: int) -> dict[str, np.ndarray]:
    """Random images and labels, always the same for one number."""
    random = np.random.default_rng(number)
    return {
        "image": random.standard_normal((size, *NETWORKS[network][2]), np.float32),
        "label": random.integers(0, 10, size, np.int32),
        "position": np.arange(size, dtype=np.int32),
    }


def cnnjax_updates(network: str, size: int) -> Updates:
    """The loop of cnnjax, with all that it does beside each step: metrics, checks, signals."""
    config = TrainConfig(
        steps=STEPS.get(network, 4),
        batch_size=size,
        optimizer="sgd",
        learning_rate=RATE,
        momentum=MOMENTUM,
        schedule="constant",
    )
    training = compile_training(NETWORKS[network][0](), config)
    state = training.init(0, batch_of(network, size, 0)["image"])
    state = state.replace(params=replicate(_filled(state.params), training.devices))

    def updates(batch: Batch) -> tuple[Any, Any]:
        after = fit(training, state, lambda seed, step: dict(batch), quiet=True).state
        return state.params, jax.block_until_ready(after.params)

    return updates


def flax_updates(network: str, size: int) -> Updates:
    """A loop around one compiled step, which reads nothing until the end."""
    model, optimizer = NETWORKS[network][1], optax.sgd(RATE, MOMENTUM)
    train: dict[str, Any] = {"train": True} if network == "ResNet20" else {}
    sample = batch_of(network, size, 0)["image"]
    variables = jax.jit(functools.partial(model.init, **train))(jax.random.key(0), sample)
    first = jax.device_put(_filled(variables["params"]))
    statistics = {name: tree for name, tree in variables.items() if name != "params"}

    @jax.jit
    def step(params, statistics, opt_state, image, label):
        def loss(params):
            logits, updated = model.apply(
                {"params": params, **statistics}, image, **train, mutable=["batch_stats"]
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
            return losses.mean(), updated

        (value, updated), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        change, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, change), dict(updated), opt_state, value

    def updates(batch: Batch) -> tuple[Any, Any]:
        state = first, statistics, optimizer.init(first)
        for _ in range(STEPS.get(network, 4)):
            *state, _ = step(*state, batch["image"], batch["label"])
        return first, jax.block_until_ready(state[0])

    return updates


def _filled(params: Any) -> Any:
    """Parameters to begin from, drawn in the order of their names."""
    random = np.random.default_rng(0)

    def drawn(path: tuple[Any, ...], leaf: jax.Array) -> np.ndarray:
        if path[-1].key != "kernel":
            return np.full(leaf.shape, path[-1].key == "scale", np.float32)
        fan_in = leaf.size // leaf.shape[-1]
        return random.standard_normal(leaf.shape, np.float32) / np.float32(fan_in**0.5)

    return jax.tree_util.tree_map_with_path(drawn, params)


def _normalized(x):
    sums = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, 9), (1, 1, 1, 1), "SAME")
    return x / (1 + 0.001 / 9 * sums) ** 0.75


def _squashed(x):
    return 1.7159 * jnp.tanh(x * (2 / 3))
