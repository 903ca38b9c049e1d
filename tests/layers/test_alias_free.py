"""Layers that commute with fractions of a pixel, and the polynomial they begin with."""

import math

import jax
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.layers import BlurPool, Conv, IdealDownsample, PolynomialActivation
from cnnjax.layers.alias_free import GELU_QUADRATIC
from cnnjax.ops import ideal_resample, polynomial_activation
from cnnjax.symmetry import fourier_shift


@pytest.mark.fast
def test_the_initial_polynomial_is_the_nearest_quadratic_to_gelu():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    gelu = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in nodes]
    root = np.sqrt(weights)
    powers = np.stack([nodes**0, nodes, nodes**2], 1)
    best = np.linalg.lstsq(powers * root[:, None], gelu * root, rcond=None)[0]
    np.testing.assert_allclose(GELU_QUADRATIC, best, atol=1e-6)


@pytest.mark.fast
def test_layers_are_their_operators():
    x = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    layer = PolynomialActivation(initial=(0.5, 1.0))
    z, variables = jax.jit(layer.init_with_output)(jax.random.key(0), x)
    coefficients = variables["params"]["coefficients"]
    np.testing.assert_array_equal(coefficients, [[0.5] * 3, [1.0] * 3])
    np.testing.assert_array_equal(z, jax.jit(polynomial_activation)(x, coefficients))
    z = jax.jit(lambda x: IdealDownsample(strides=(3, 2)).apply({}, x))(x)
    np.testing.assert_array_equal(z, jax.jit(lambda x: ideal_resample(x, (2, 4)))(x))
    assert layer.predicted_lattice((6, 8)) == IdealDownsample().predicted_lattice((6, 8)) == (1, 1)


class Network(nn.Module):
    """Circular convolution, activation, downsampling, and a mean over positions."""

    activation: nn.Module
    downsample: nn.Module

    @nn.compact
    def __call__(self, x):
        x = self.activation(Conv(4, 3, padding="CIRCULAR")(x))
        x = self.downsample(x)
        return (PolynomialActivation()(Conv(4, 3, padding="CIRCULAR")(x)) ** 2).mean((1, 2))


class Relu(nn.Module):
    def __call__(self, x):
        return nn.relu(x)


def spread_over_fractions(activation, downsample):
    """The largest change of the output over shifts by tenths of a pixel, relative to it."""
    noise = np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype(np.float32)
    x = jax.jit(lambda x: ideal_resample(x, (8, 8)))(noise)
    model = Network(activation, downsample)
    variables = jax.jit(model.init)(jax.random.key(1), x)
    f = jax.jit(lambda x, down, right: model.apply(variables, fourier_shift(x, (down, right))))
    moved = np.array([f(x, tenths / 10, tenths / 5) for tenths in (0, 1, 5, 10, 23)])
    return np.abs(moved - moved[0]).max() / np.abs(moved[0]).max()


def test_no_translation_changes_a_network_of_these_and_one_ordinary_layer_spoils_it():
    assert spread_over_fractions(PolynomialActivation(), IdealDownsample()) <= 1e-5
    assert spread_over_fractions(Relu(), IdealDownsample()) > 1e-3
    blurred = BlurPool(padding="CIRCULAR")
    assert spread_over_fractions(PolynomialActivation(), blurred) > 1e-3


@pytest.mark.fast
def test_wrong_input_is_one_sentence():
    with pytest.raises(ValueError, match=r"\(4, 4\) must divide .* got shape \(1, 6, 6, 1\)"):
        IdealDownsample(strides=4).apply({}, np.ones((1, 6, 6, 1), np.float32))
    with pytest.raises(ValueError, match=r"axes must be 1 to 3 .* got 0"):
        PolynomialActivation(axes=0).init(jax.random.key(0), np.ones((1, 6, 6, 1), np.float32))
