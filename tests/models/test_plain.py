"""The plain network: INPUT - CONV - ReLU - POOL - FC as counted in lectures, and its variants."""

import functools

import jax
import numpy as np
import pytest

from cnnjax.inspect import layers_of
from cnnjax.layers import AveragePool, MaxBlurPool, StochasticPool
from cnnjax.models import ConvPoolDense, PlainNet


@pytest.mark.fast
def test_volumes_and_weights_of_the_simplest_network():
    layers = {layer.name: layer for layer in layers_of(ConvPoolDense(), (32, 32, 3))}
    assert {name: layer.output_shape for name, layer in layers.items()} == {
        "conv1": (32, 32, 12),
        "pool1": (16, 16, 12),
        "classifier": (10,),
    }
    assert layers["classifier"].parameters == 16 * 16 * 12 * 10 + 10 == 30_730
    assert layers["conv1"].parameters == 3 * 3 * 3 * 12 + 12


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def logits(model, x):
    """Parameters and logits, from one program."""
    z, variables = jax.device_get(jax.jit(model.init_with_output)(jax.random.key(0), x))
    return variables["params"], z


def shape_of_classifier(model, x):
    return jax.eval_shape(model.init, jax.random.key(0), x)["params"]["classifier"]["kernel"].shape


def test_each_readout_is_what_it_says():
    x = normal(1, 2, 4, 4, 2)
    for readout in ("mean", "max", "volume"):
        model = PlainNet(3, features=(5,), normalize=False, readout=readout, padding="VALID")
        params, found = logits(model, x)
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
        z = np.einsum("bijcuv,uvco->bijo", np.float64(windows), params["conv1"]["kernel"])
        # Of 2 x 2 positions the pooling leaves one, which mean, maximum and volume then share.
        z = np.maximum(z + params["conv1"]["bias"], 0).max((1, 2))
        expected = z @ params["classifier"]["kernel"] + params["classifier"]["bias"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    x = normal(1, 2, 8, 8, 2)
    shapes = {
        readout: shape_of_classifier(PlainNet(3, features=(5,), readout=readout), x)
        for readout in ("mean", "max", "volume")
    }
    assert shapes == {
        "mean": (5, 3),
        "max": (5, 3),
        "volume": (4 * 4 * 5, 3),
    }
    mean, largest = (logits(PlainNet(3, features=(5,), readout=r), x)[1] for r in ("mean", "max"))
    assert np.abs(mean - largest).max() > 1e-3


def test_any_pooling_and_activation():
    x = np.abs(normal(1, 2, 8, 8, 2))
    for pool in (AveragePool, StochasticPool, None):
        model = PlainNet(3, features=(5,), pool=pool, readout="volume")
        side = 8 if pool is None else 4
        assert shape_of_classifier(model, x) == (side**2 * 5, 3)
    blurred = functools.partial(_Blurred, filter_size=3)
    assert logits(PlainNet(3, features=(5,), pool=blurred), x)[1].shape == (2, 3)
    drawn = PlainNet(3, features=(5,), pool=StochasticPool, normalize=False)

    @jax.jit
    def draw(key):
        variables = drawn.init(jax.random.key(0), x)
        return drawn.apply(variables, x, train=True, rngs={"dropout": key})

    first, second = (np.asarray(draw(jax.random.key(n))) for n in (1, 2))
    assert np.abs(first - second).max() > 1e-3
    relu, tanh = (
        logits(PlainNet(3, features=(5,), activation=name), x)[1] for name in ("relu", "tanh")
    )
    assert np.abs(relu - tanh).max() > 1e-3


class _Blurred(MaxBlurPool):
    """Blurred pooling under the arguments of every pooling."""

    window_shape: int = 2


@pytest.mark.fast
def test_other_words_are_refused():
    x = np.zeros((1, 8, 8, 1), np.float32)
    for arguments, message in (
        ({"readout": "all"}, "`readout` must be one of mean, max, volume, got 'all'"),
        ({"activation": "relux"}, "`activation` must be one of relu, .* got 'relux'"),
    ):
        with pytest.raises(ValueError, match=message):
            PlainNet(3, **arguments).init(jax.random.key(0), x)
