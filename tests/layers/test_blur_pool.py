"""Blurring layers: their operators, and the lattice that they claim."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.layers import BlurPool, MaxBlurPool
from cnnjax.ops import blur_pool, max_blur_pool
from cnnjax.symmetry import translation_lattice

X = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))


@pytest.mark.fast
def test_layers_are_their_operators():
    arguments = {"filter_size": 4, "strides": (2, 1), "padding": "CIRCULAR"}
    assert BlurPool().init(jax.random.key(0), X) == {}
    np.testing.assert_array_equal(BlurPool(**arguments).apply({}, X), blur_pool(X, **arguments))
    z = MaxBlurPool(window_shape=3, **arguments).apply({}, X)
    np.testing.assert_array_equal(z, max_blur_pool(X, window_shape=3, **arguments))
    np.testing.assert_array_equal(BlurPool().apply({}, X), blur_pool(X))


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
        BlurPool(filter_size=1).apply({}, jnp.ones((1, 4, 4, 1)))
