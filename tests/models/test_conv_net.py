"""The plain network: names, shapes, and lattices that multiply up the stack."""

import functools

import flax.linen as nn
import jax
import numpy as np
import pytest

from cnnjax.layers import Conv, LocalConv, TiledConv
from cnnjax.models import ConvNet
from cnnjax.symmetry import errors_over_shifts, lattice_of_errors


class Claimless(nn.Module):
    """A user's layer that says nothing of its symmetry."""

    features: int
    kernel_size: tuple
    strides: tuple
    padding: str

    @nn.compact
    def __call__(self, x):
        return nn.Conv(self.features, self.kernel_size, self.strides, self.padding)(x)


def network(conv, **arguments):
    settings = {"features": (3, 4, 5), "strides": (1, 2, 2), "kernel_size": 3, **arguments}
    return ConvNet(classes=6, conv=conv, **settings)


@pytest.mark.fast
def test_outputs_are_named_and_shaped():
    x = np.zeros((2, 8, 8, 1), np.float32)
    model = network(Conv)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    assert sorted(variables["params"]) == ["classifier", "conv1", "conv2", "conv3"]
    outputs = {}

    def outputs_of(variables, x):
        outputs.update(model.apply(variables, x, method="outputs"))  # in the model's order
        return outputs["network"]

    jax.eval_shape(outputs_of, variables, x)
    assert {name: z.shape for name, z in outputs.items()} == {
        "conv1": (2, 8, 8, 3),
        "conv2": (2, 4, 4, 4),
        "conv3": (2, 2, 2, 5),
        "network": (2, 6),
    }
    assert list(outputs)[-1] == "network"


def test_the_network_is_its_layers_by_hand():
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 1)).astype(np.float32)
    model = network(Conv, features=(2, 3), strides=(1, 1))
    params = jax.device_get(jax.jit(model.init)(jax.random.key(0), x))["params"]

    @jax.jit
    def layers(x):
        first = nn.relu(model.apply({"params": params}, x, 0, method="layer"))
        second = nn.relu(model.apply({"params": params}, first, 1, method="layer"))
        return second, model.apply({"params": params}, x)

    second, found = jax.device_get(layers(x))
    classifier = params["classifier"]
    logits = second.max((1, 2)) @ classifier["kernel"] + classifier["bias"]
    np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("conv", "size", "expected"),
    [
        (Conv, 8, [1, 2, 4, 4]),
        (functools.partial(TiledConv, tile=2), 8, [2, 4, 8, 8]),
        (functools.partial(TiledConv, tile=2), 16, [2, 4, 8, 8]),
        (functools.partial(TiledConv, tile=3), 12, [3, 6, 12, 12]),
        (functools.partial(TiledConv, tile=4), 12, [4, 12, 12, 12]),
        (LocalConv, 8, [8, 8, 8, 8]),
        (Conv, 6, [1, 2, 6, 6]),
    ],
)
def test_lattices_multiply_up_the_stack(conv, size, expected):
    model = network(conv)
    random = np.random.default_rng(0)
    x = random.normal(size=(2, size, size, 1)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    params = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), shapes)
    predicted = model.predicted_lattices((size, size))
    assert [lattice["network"] for lattice in predicted.values()] == [(n, n) for n in expected]
    errors = errors_over_shifts(lambda x: model.apply({"params": params}, x, method="outputs"), x)
    measured = [lattice_of_errors(each) for each in errors.values()]
    assert measured == [(n, n) for n in expected]


@pytest.mark.fast
def test_no_claim_is_no_prediction():
    lattices = network(Claimless).predicted_lattices((8, 8))
    assert all(lattice["network"] is None for lattice in lattices.values())


@pytest.mark.fast
def test_layers_must_be_named_alike():
    with pytest.raises(ValueError, match=r"\(3, 4, 5\) and strides \(1, 2\)"):
        network(Conv, strides=(1, 2)).init(jax.random.key(0), np.zeros((1, 8, 8, 1)))
