"""Blurring layers: their operators, and the lattice that they claim."""

import jax
import numpy as np
import pytest

from cnnjax.layers import BlurPool, MaxBlurPool
from cnnjax.ops import blur_pool, max_blur_pool
from cnnjax.symmetry import translation_lattice

X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


@pytest.mark.fast
def test_layers_are_their_operators():
    arguments = {"filter_size": 4, "strides": (2, 1), "padding": "CIRCULAR"}
    assert jax.eval_shape(BlurPool().init, jax.random.key(0), X) == {}

    @jax.jit
    def pairs(x):
        largest = MaxBlurPool(window_shape=3, **arguments).apply({}, x)
        return [
            (BlurPool(**arguments).apply({}, x), blur_pool(x, **arguments)),
            (largest, max_blur_pool(x, window_shape=3, **arguments)),
            (BlurPool().apply({}, x), blur_pool(x)),
        ]

    for z, expected in pairs(X):
        np.testing.assert_array_equal(z, expected)


@pytest.mark.parametrize("layer", [BlurPool, MaxBlurPool])
@pytest.mark.parametrize("padding", ["CIRCULAR", "REFLECT"])
def test_claimed_lattices_are_measured(layer, padding):
    module = layer(padding=padding)
    claimed = module.predicted_lattice((6, 6))
    assert claimed == ((2, 2) if padding == "CIRCULAR" else (6, 6))
    assert translation_lattice(lambda x: module.apply({}, x), (1, 6, 6, 1)) == claimed


@pytest.mark.fast
def test_wrong_input_is_one_sentence():
    with pytest.raises(ValueError, match="must be 2 to 7, got 1"):
        BlurPool(filter_size=1).apply({}, np.ones((1, 4, 4, 1), np.float32))
