"""Receptive fields by gradient against arithmetic, and the effective one against known cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax import ops
from cnnjax.inspect import receptive_field
from cnnjax.layers import VARIANTS

KEY = jax.random.key(0)


def network(layers, activation=nn.relu):
    """(window, stride, dilation) an axis, with valid convolutions of 4 channels."""
    kernels = [
        jax.random.normal(jax.random.fold_in(KEY, index), (window, 1 if index == 0 else 4, 4))
        for index, (window, _, _) in enumerate(layers)
    ]

    def function(x):
        for kernel, (_, stride, dilation) in zip(kernels, layers, strict=True):
            x = activation(
                ops.conv(x, kernel, strides=stride, kernel_dilation=dilation, padding="VALID")
            )
        return x

    return function


@pytest.mark.parametrize(
    ("layers", "size"),
    [
        ([(3, 1, 1)], 3),
        ([(3, 1, 1), (3, 1, 1)], 5),  # two 3 see what one 5 sees
        ([(3, 2, 1), (3, 2, 1), (3, 1, 1)], 15),
        ([(3, 1, 2), (5, 2, 1)], 9),
    ],
)
def test_gradient_and_arithmetic_agree(layers, size):
    field = receptive_field(network(layers), (40, 1))
    assert ops.receptive_field(layers)[0] == size
    assert field.sizes == (size,)


@pytest.mark.fast
def test_the_support_lies_where_the_output_looks():
    layer = VARIANTS["standard"](2, (3, 3), strides=2, padding="VALID")
    params = layer.init(KEY, jnp.zeros((1, 9, 9, 1)))
    field = receptive_field(lambda x: layer.apply(params, x), (9, 9, 1), position=(1, 2))
    expected = np.zeros((9, 9), bool)
    expected[2:5, 4:7] = True
    np.testing.assert_array_equal(field.support, expected)
    assert field.position == (1, 2)


def test_a_field_across_a_circular_border_is_as_large_as_inside():
    layer = VARIANTS["standard"](2, (3,), padding="CIRCULAR")
    params = layer.init(KEY, jnp.zeros((1, 8, 1)))
    field = receptive_field(lambda x: layer.apply(params, x), (8, 1), position=(0,))
    np.testing.assert_array_equal(np.flatnonzero(field.support), [0, 1, 7])
    assert field.sizes == (3,)


@pytest.mark.parametrize(("name", "size"), [("dense", 9), ("dilated", 5), ("local", 3)])
def test_variants_see_what_they_should(name, size):
    layer = VARIANTS[name](2, (3,), padding="CIRCULAR")
    params = layer.init(KEY, jnp.zeros((1, 9, 1)))
    assert receptive_field(lambda x: layer.apply(params, x), (9, 1)).sizes == (size,)


def test_logits_see_everything_and_have_no_position():
    field = receptive_field(lambda x: x.mean((1, 2)), (4, 6, 3))
    assert field.sizes == (4, 6)
    assert field.position == ()
    # Each gradient is u_c / 24: equal at all positions, so all of them are effective.
    assert field.effective_size == pytest.approx(np.sqrt(24))
    assert np.ptp(field.squared_gradient) == 0


def test_a_linear_layer_has_its_squared_kernel_as_gradient():
    kernel = jnp.array([1.0, 2.0, 0.05])[:, None, None]
    field = receptive_field(lambda x: ops.conv(x, kernel, padding="SAME"), (7, 1), position=(3,))
    ratios = field.squared_gradient / field.squared_gradient.max()
    np.testing.assert_allclose(ratios, [0, 0, 0.25, 1, 0.025**2, 0, 0], rtol=1e-5)
    assert field.sizes == (3,)
    assert field.effective_size == 2  # 0.025 is below 4.55 % of the largest


def test_the_effective_field_of_a_deep_linear_stack_is_smaller_than_the_theoretical():
    """Luo et al.: with equal weights the field is a binomial; its size grows as sqrt(depth)."""
    kernel = jnp.full((3, 1, 1), 1 / 3)

    def stack(depth):
        def function(x):
            for _ in range(depth):
                x = ops.conv(x, kernel, padding="SAME")
            return x

        return receptive_field(function, (81, 1))

    few, many = stack(5), stack(20)
    assert (few.sizes, many.sizes) == ((11,), (41,))
    weights = np.ones(1)
    for _ in range(20):
        weights = np.convolve(weights, np.ones(3) / 3)
    assert many.effective_size == (weights > 0.0455 * weights.max()).sum()
    assert many.effective_size / few.effective_size == pytest.approx(2, abs=0.3)


@pytest.mark.fast
def test_a_position_outside_is_refused():
    with pytest.raises(ValueError, match=r"output of sizes \(4,\), got \(4,\)"):
        receptive_field(lambda x: x, (4, 1), position=(4,))
    with pytest.raises(ValueError, match=r"output of sizes \(\), got \(0,\)"):
        receptive_field(lambda x: x.mean(1), (4, 1), position=(0,))
