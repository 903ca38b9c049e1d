"""The network of group convolutions: its exact invariances, its weights, its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.models import GroupChainNet
from cnnjax.ops.group_convolution import group_conv, lifting_conv

NET = GroupChainNet(classes=3, features=(2, 4), kernel_size=3)
X = np.asarray(jax.random.normal(jax.random.key(1), (2, 16, 16, 1)))


@pytest.fixture(scope="module")
def variables():
    return NET.init(jax.random.key(0), X[:, :8, :8])


@pytest.fixture(scope="module")
def logits(variables):
    return jax.jit(lambda x: NET.apply(variables, x))


def test_rotations_by_90_degrees_and_shifts_by_2_leave_the_logits(logits):
    expected = logits(X)
    for turns in (1, 2, 3):
        np.testing.assert_allclose(logits(np.rot90(X, turns, (1, 2))), expected, atol=1e-5)
    np.testing.assert_allclose(logits(np.roll(X, (2, -4), (1, 2))), expected, atol=1e-6)
    for other in (np.roll(X, 1, 1), X[:, ::-1], X[::-1]):
        assert np.abs(logits(other) - expected).max() > 1e-3


def test_reflections_too_with_eight_elements():
    net = GroupChainNet(3, (2, 2), group=8)
    x = X[:, :8, :8]
    variables = net.init(jax.random.key(0), x)
    logits = jax.jit(net.apply)
    for moved in (x[:, ::-1], np.rot90(x, 1, (1, 2))):
        np.testing.assert_allclose(logits(variables, moved), logits(variables, x), atol=1e-5)


def test_the_network_is_its_layers_in_order(variables, logits):
    params = variables["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == (
        (9 * 2 + 2) + (9 * 4 * 2 * 4 + 4) + (4 * 3 + 3)
    )
    x = jnp.asarray(X)
    for name, op in (("conv1", lifting_conv), ("conv2", group_conv)):
        z = np.asarray(op(x, params[name]["kernel"], padding="CIRCULAR"))
        z = np.maximum(z + np.asarray(params[name]["bias"]), 0)
        batch, height, width, *rest = z.shape
        x = jnp.asarray(z.reshape(batch, height // 2, 2, width // 2, 2, *rest).max((2, 4)))
    classifier = {name: np.asarray(leaf) for name, leaf in params["classifier"].items()}
    expected = np.asarray(x).max((1, 2, 3)) @ classifier["kernel"] + classifier["bias"]
    np.testing.assert_allclose(logits(X), expected, rtol=1e-4, atol=1e-5)


def test_a_size_that_is_not_halved_is_refused(variables):
    with pytest.raises(ValueError, match=r"multiples of 4 for 2 halvings, got \(10, 16\)"):
        NET.apply(variables, X[:, :10])
