"""Adaptive and learnable polyphase sampling: a whole network that no circular shift changes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.layers import AdaptivePolyphase, Conv, LearnablePolyphase, MaxPool
from cnnjax.ops import adaptive_polyphase, polyphase_component, polyphase_components


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
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 2))
    model = Network(downsample)
    variables = model.init(jax.random.key(1), x)
    f = jax.jit(lambda x: model.apply(variables, x))
    return np.array([f(jnp.roll(x, shift, (1, 2))) for shift in np.ndindex(8, 8)])


@pytest.mark.parametrize("downsample", [AdaptivePolyphase, LearnablePolyphase])
def test_every_circular_shift_leaves_the_logits_and_max_pooling_does_not(downsample):
    logits = logits_over_shifts(downsample)
    np.testing.assert_allclose(logits, np.broadcast_to(logits[0], logits.shape), atol=1e-5)
    assert downsample().predicted_lattice((8, 8)) == (1, 1)
    pooled = logits_over_shifts(lambda: MaxPool(2, strides=2))
    assert np.abs(pooled - pooled[0]).max() > 0.01


@pytest.mark.fast
def test_the_adaptive_layer_is_its_operator():
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 2))
    layer = AdaptivePolyphase(strides=3, order=1.0)
    z, index = adaptive_polyphase(x, strides=3, order=1.0)
    assert layer.init(jax.random.key(0), x) == {}
    np.testing.assert_array_equal(layer.apply({}, x), z)
    np.testing.assert_array_equal(layer.apply({}, x, method="with_index")[1], index)


@pytest.mark.fast
def test_scores_decide_which_component_is_kept():
    x = jax.random.normal(jax.random.key(0), (3, 6, 6, 2))
    layer = LearnablePolyphase(features=4)
    variables = layer.init(jax.random.key(1), x)
    shapes = jax.tree.map(jnp.shape, variables["params"])
    assert shapes == {
        "hidden": {"kernel": (3, 3, 2, 4), "bias": (4,)},
        "score": {"kernel": (3, 3, 4, 1)},
    }
    scores = layer.apply(variables, x, method="scores")
    kept = np.asarray(scores).argmax(1)
    components = polyphase_components(x)
    expected = jnp.stack([components[image, k] for image, k in enumerate(kept)])
    np.testing.assert_array_equal(layer.apply(variables, x), expected)
    np.testing.assert_array_equal(layer.apply(variables, x, method="with_index")[1], kept)


@pytest.mark.fast
def test_training_draws_components_by_their_scores_and_reaches_the_scores():
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
    cold = LearnablePolyphase(temperature=1e-4)
    variables = cold.init(jax.random.key(1), x)
    components = polyphase_components(x)[0]

    def drawn(key):
        z = cold.apply(variables, x, train=True, rngs={"dropout": key})
        return jnp.abs(components - z).sum((1, 2, 3)).argmin()

    draws = jax.vmap(drawn)(jax.random.split(jax.random.key(2), 1000))
    frequencies = np.bincount(draws, minlength=4) / 1000
    wanted = jax.nn.softmax(cold.apply(variables, x, method="scores")[0])
    # Gumbel noise makes the argmax a draw from the softmax; of 1,000 draws each deviates by 0.016.
    np.testing.assert_allclose(frequencies, wanted, atol=0.06)

    warm = LearnablePolyphase()

    def loss(variables):
        z = warm.apply(variables, x, train=True, rngs={"dropout": jax.random.key(0)})
        return (z**2).sum()

    gradient = jax.grad(loss)(variables)["params"]["score"]["kernel"]
    assert jnp.abs(gradient).max() > 1e-4


@pytest.mark.fast
def test_wrong_input_is_one_sentence():
    x = jnp.ones((1, 6, 6, 1))
    layer = LearnablePolyphase(temperature=0.0)
    variables = layer.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        layer.apply(variables, x, train=True, rngs={"dropout": jax.random.key(0)})
    with pytest.raises(ValueError, match="must divide"):
        AdaptivePolyphase(strides=4).apply({}, x)
