"""Standard deviations of kernels, outputs and gradients against float64 NumPy."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.inspect import layer_scales


class Normalised(nn.Module):
    """Dense, batch normalisation, ReLU, dense inside a block."""

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(4, use_bias=False, name="first")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, epsilon=1e-5, name="bn")(x))
        return Head(name="head")(x)


class Head(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="last")(x)


def forward(first, last, bias, x, labels):
    """Outputs of both layers and the mean cross-entropy, with statistics of this batch."""
    z = x @ first
    h = np.maximum((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5), 0)
    logits = h @ last + bias
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(x)), labels]
    return z, logits, each.mean()


def central(loss, kernel):
    """Gradient by central differences."""
    found = np.zeros_like(kernel)
    for place in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-5
        found[place] = (loss(kernel + step) - loss(kernel - step)) / 2e-5
    return found


def test_standard_deviations_are_those_of_a_step_of_training():
    random = np.random.default_rng(0)
    x, labels = 2 + random.normal(size=(6, 5)), np.array([0, 2, 1, 1, 0, 2])
    variables = jax.device_get(Normalised().init(jax.random.key(0), x))
    found = jax.jit(layer_scales, static_argnums=0)(Normalised(), variables, x, labels)
    first = np.float64(variables["params"]["first"]["kernel"])
    last = np.float64(variables["params"]["head"]["last"]["kernel"])
    bias = np.zeros(3)
    z, logits, _ = forward(first, last, bias, x, labels)
    gradients = {
        "first": central(lambda kernel: forward(kernel, last, bias, x, labels)[2], first),
        "head/last": central(lambda kernel: forward(first, kernel, bias, x, labels)[2], last),
    }
    expected = {
        "kernel": {"first": first.std(), "head/last": last.std()},
        "output": {"first": z.std(), "head/last": logits.std()},
        "gradient": {name: gradient.std() for name, gradient in gradients.items()},
    }
    assert found.keys() == expected.keys()
    for kind, layers in expected.items():
        assert found[kind].keys() == layers.keys()
        for name, value in layers.items():
            assert float(found[kind][name]) == pytest.approx(value, rel=1e-4), (kind, name)


def test_a_model_without_kernels_has_no_scales():
    class Scale(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x * self.param("scale", nn.initializers.ones, ())

    with pytest.raises(ValueError, match="must have layers with a parameter 'kernel', got Scale"):
        layer_scales(Scale(), {"params": {"scale": np.ones(())}}, np.ones((2, 3)), np.zeros(2, int))
