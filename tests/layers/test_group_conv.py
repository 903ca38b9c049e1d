"""Group layers: parameters, initialisation, and a whole network that turns with its image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.layers import Conv, GroupConv, GroupPool, LiftingConv
from cnnjax.ops import group_conv, lifting_conv


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def initialised(layer, x):
    """Output and variables, from one program."""
    return jax.device_get(jax.jit(layer.init_with_output)(jax.random.key(1), x))


class Network(nn.Module):
    """Lifting, batch normalisation, group convolution, pooling over the group."""

    group: int
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x, train=False):
        x = LiftingConv(4, 3, group=self.group, padding=self.padding)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return GroupPool()(GroupConv(5, (3, 3), padding=self.padding)(x))


@pytest.mark.fast
@pytest.mark.parametrize("group", [4, 8])
@pytest.mark.parametrize("size", [5, 6])
def test_a_network_turns_with_its_image_in_training_and_evaluation(group, size):
    x = normal(0, 2, size, size, 3)
    model = Network(group)
    _, variables = initialised(model, x)

    @jax.jit
    def both(x):
        trained, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return model.apply(variables, x), trained

    moved = x, np.rot90(x, 1, (1, 2)), np.flip(x, 2)
    for z, turned, flipped in zip(*[jax.device_get(both(each)) for each in moved], strict=True):
        np.testing.assert_allclose(turned, np.rot90(z, 1, (1, 2)), atol=1e-5)
        difference = np.abs(flipped - np.flip(z, 2)).max()
        assert difference <= 1e-5 if group == 8 else difference > 0.1


@pytest.mark.fast
def test_a_convolution_does_not():
    x = normal(0, 1, 5, 5, 3)
    layer = Conv(4, 3)
    z, variables = initialised(layer, x)
    turned = jax.jit(layer.apply)(variables, np.rot90(x, 1, (1, 2)))
    assert np.abs(turned - np.rot90(z, 1, (1, 2))).max() > 0.1


@pytest.mark.fast
def test_layers_are_their_operators_with_a_bias_shared_by_the_group():
    x = normal(0, 2, 7, 7, 3)
    arguments = {"strides": 2, "padding": "CIRCULAR", "kernel_dilation": 1}
    lift = LiftingConv(4, 3, group=8, bias_init=nn.initializers.ones, **arguments)
    z, variables = initialised(lift, x)
    params = variables["params"]
    assert jax.tree.map(np.shape, params) == {"kernel": (3, 3, 3, 4), "bias": (4,)}
    operator = jax.jit(functools.partial(lifting_conv, group=8, **arguments))
    np.testing.assert_allclose(z, operator(x, params["kernel"]) + np.float32(1), rtol=1e-6)
    deep = GroupConv(5, 3, use_bias=False, param_dtype=jnp.bfloat16, **arguments)
    found, variables = initialised(deep, z)
    params = variables["params"]
    assert jax.tree.map(np.shape, params) == {"kernel": (3, 3, 8, 4, 5)}
    assert params["kernel"].dtype == jnp.bfloat16
    operator = jax.jit(functools.partial(group_conv, **arguments))
    expected = operator(z, params["kernel"].astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    extra, _ = jax.eval_shape(LiftingConv(4, 3).init_with_output, jax.random.key(1), x[None])
    assert extra.shape == (1, 2, 7, 7, 4, 4)


def test_the_initial_variance_is_that_of_a_convolution():
    """Fan-in 9 * 4 * 16 = 576: kernels of variance 1/576, outputs of variance 1 from noise."""
    x = normal(0, 4, 9, 9, 4, 16)
    layer = GroupConv(256, 3, padding="CIRCULAR")
    z, variables = initialised(layer, x)
    assert float(variables["params"]["kernel"].var()) == pytest.approx(1 / 576, rel=0.02)
    assert float(z.var()) == pytest.approx(1, rel=0.05)


@pytest.mark.fast
def test_claimed_lattices_are_the_exact_shifts():
    x = normal(0, 1, 6, 6, 2)
    layer = LiftingConv(3, 3, strides=2, padding="CIRCULAR")
    assert layer.predicted_lattice((6, 6)) == (2, 2)
    assert LiftingConv(3, 3).predicted_lattice((6, 6)) == (6, 6)
    z, variables = initialised(layer, x)
    f = functools.partial(jax.jit(layer.apply), variables)
    np.testing.assert_allclose(f(np.roll(x, 2, 1)), np.roll(z, 1, 1), atol=1e-5)
    assert np.abs(f(np.roll(x, 1, 1)) - z).max() > 0.1


@pytest.mark.fast
@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (LiftingConv(3, 3, group=6), (1, 5, 5, 1), "got 6"),
        (LiftingConv(3, (3, 2)), (1, 5, 5, 1), r"kernel_size must be .* got \(3, 2\)"),
        (LiftingConv(3, 3, strides=(1, 2)), (1, 5, 5, 1), r"strides must be .* got \(1, 2\)"),
        (LiftingConv(0, 3), (1, 5, 5, 1), "features must be at least 1, got 0"),
        (LiftingConv(3, 3, feature_group_count=2), (1, 5, 5, 2), "no feature_group_count, got 2"),
        (LiftingConv(3, 3, input_dilation=2), (1, 5, 5, 2), "no input_dilation, got 2"),
        (LiftingConv(3, 7, padding="VALID"), (1, 5, 5, 1), "does not fit"),
        (GroupConv(3, 3), (1, 5, 5, 3, 2), "got 3"),
        (GroupConv(3, 3), (5, 5, 4), r"LiftingConv makes it from an image"),
        (GroupPool(), (1, 5, 5, 3, 2), "got 3"),
    ],
)
def test_wrong_input_is_one_sentence(layer, shape, message):
    with pytest.raises(ValueError, match=message) as error:
        jax.eval_shape(layer.init, jax.random.key(0), np.ones(shape, np.float32))
    assert "\n" not in str(error.value)
