"""Adaptive and learnable polyphase sampling: a whole network that no circular shift changes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.layers import AdaptivePolyphase, Conv, LearnablePolyphase, MaxPool
from cnnjax.ops import adaptive_polyphase, polyphase_component, polyphase_components


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Network(nn.Module):
    """Circular convolution, a residual branch, downsampling, and a mean over all positions."""

    downsample: Callable[[], nn.Module]

    @nn.compact
    def __call__(self, x):
        x = nn.relu(Conv(4, 3, padding="CIRCULAR")(x))
        layer = self.downsample()
        if isinstance(layer, MaxPool):
            return layer(x).mean((1, 2))
        z, index = layer.with_index(x)
        z = nn.relu(z + Conv(4, 1)(polyphase_component(x, index)))
        return self.downsample()(Conv(4, 3, padding="CIRCULAR")(z)).mean((1, 2))


def logits_over_shifts(downsample):
    x = normal(0, 3, 8, 8, 2)
    model = Network(downsample)
    variables = jax.jit(model.init)(jax.random.key(1), x)
    f = jax.jit(lambda x: model.apply(variables, x))
    return np.array([f(np.roll(x, shift, (1, 2))) for shift in np.ndindex(8, 8)])


@pytest.mark.parametrize("downsample", [AdaptivePolyphase, LearnablePolyphase])
def test_every_circular_shift_leaves_the_logits_and_max_pooling_does_not(downsample):
    logits = logits_over_shifts(downsample)
    np.testing.assert_allclose(logits, np.broadcast_to(logits[0], logits.shape), atol=1e-5)
    assert downsample().predicted_lattice((8, 8)) == (1, 1)
    pooled = logits_over_shifts(lambda: MaxPool(2, strides=2))
    assert np.abs(pooled - pooled[0]).max() > 0.01


@pytest.mark.fast
def test_the_adaptive_layer_is_its_operator():
    x = normal(0, 2, 6, 6, 2)
    layer = AdaptivePolyphase(strides=3, order=1.0)
    z, index = jax.jit(lambda x: adaptive_polyphase(x, strides=3, order=1.0))(x)
    assert jax.eval_shape(layer.init, jax.random.key(0), x) == {}
    applied, (_, kept) = jax.jit(
        lambda x: (layer.apply({}, x), layer.apply({}, x, method="with_index"))
    )(x)
    np.testing.assert_array_equal(applied, z)
    np.testing.assert_array_equal(kept, index)


@pytest.mark.fast
def test_scores_decide_which_component_is_kept():
    x = normal(0, 3, 6, 6, 2)
    layer = LearnablePolyphase(features=4)
    variables = jax.jit(layer.init)(jax.random.key(1), x)
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert shapes == {
        "hidden": {"kernel": (3, 3, 2, 4), "bias": (4,)},
        "score": {"kernel": (3, 3, 4, 1)},
    }

    @jax.jit
    def applied(x):
        scores = layer.apply(variables, x, method="scores")
        index = layer.apply(variables, x, method="with_index")[1]
        return scores, layer.apply(variables, x), index, polyphase_components(x)

    scores, z, index, components = jax.device_get(applied(x))
    kept = scores.argmax(1)
    np.testing.assert_array_equal(z, components[np.arange(3), kept])
    np.testing.assert_array_equal(index, kept)


@pytest.mark.fast
def test_training_draws_components_by_their_scores_and_reaches_the_scores():
    x = normal(0, 1, 4, 4, 1)
    cold = LearnablePolyphase(temperature=1e-4)
    variables = jax.jit(cold.init)(jax.random.key(1), x)

    @jax.jit
    def drawn(key):
        def one(key):
            z = cold.apply(variables, x, train=True, rngs={"dropout": key})
            return jnp.abs(polyphase_components(x)[0] - z).sum((1, 2, 3)).argmin()

        scores = cold.apply(variables, x, method="scores")[0]
        return jax.vmap(one)(jax.random.split(key, 1000)), jax.nn.softmax(scores)

    draws, wanted = jax.device_get(drawn(jax.random.key(2)))
    frequencies = np.bincount(draws, minlength=4) / 1000
    # Gumbel noise makes the argmax a draw from the softmax; of 1,000 draws each deviates by 0.016.
    np.testing.assert_allclose(frequencies, wanted, atol=0.06)

    warm = LearnablePolyphase()

    def loss(variables):
        z = warm.apply(variables, x, train=True, rngs={"dropout": jax.random.key(0)})
        return (z**2).sum()

    gradient = jax.jit(jax.grad(loss))(variables)["params"]["score"]["kernel"]
    assert np.abs(gradient).max() > 1e-4


@pytest.mark.fast
def test_wrong_input_is_one_sentence():
    x = np.ones((1, 6, 6, 1), np.float32)
    layer = LearnablePolyphase(temperature=0.0)
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        layer.apply(variables, x, train=True, rngs={"dropout": jax.random.key(0)})
    with pytest.raises(ValueError, match="must divide"):
        AdaptivePolyphase(strides=4).apply({}, x)
