"""Costs against counts made by hand."""

import math

import jax
import jax.numpy as jnp
import pytest

from cnnjax import ops
from cnnjax.inspect import multiply_adds, parameter_count
from cnnjax.layers import VARIANTS

ONE_IMAGE = jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("standard", 64 * 9 * 4 * 8),
        ("dilated", 64 * 9 * 4 * 8),
        ("tiled", 64 * 9 * 4 * 8),
        ("local", 64 * 9 * 4 * 8),
        ("depthwise", 64 * 9 * 8),
        ("low_rank", 2 * 64 * 9 * 4 * 8 + 64 * 2 * 8),  # two kernels, and the mixture of biases
        ("dense", 64 * 4 * 64 * 8),
    ],
)
def test_multiply_adds_of_every_variant(name, count):
    layer = VARIANTS[name](8, 3, padding="CIRCULAR")
    variables = jax.eval_shape(layer.init, jax.random.key(0), ONE_IMAGE)
    assert multiply_adds(layer.apply, variables, ONE_IMAGE) == count


def test_a_tile_that_does_not_divide_costs_no_more():
    kernel = jax.ShapeDtypeStruct((3, 5, 3, 3, 4, 8), jnp.float32)
    assert multiply_adds(ops.tiled_conv, ONE_IMAGE, kernel) == 64 * 9 * 4 * 8


@pytest.mark.parametrize("strides", [1, 2])
def test_zeros_between_dilated_entries_are_not_multiplied(strides):
    """The transpose of a strided convolution costs what it does, and its border of 18 x 18."""
    x, kernel = jnp.ones((1, 16, 16, 6)), jnp.ones((3, 3, 6, 8))
    forward = lambda x: ops.conv(x, kernel, strides=strides, padding="CIRCULAR")
    z = jax.eval_shape(forward, x)
    assert multiply_adds(forward, x) == math.prod(z.shape) * 9 * 6
    back = jax.linear_transpose(forward, x)
    assert multiply_adds(back, z) == 18**2 // strides**2 * 9 * 6 * 8


def test_loops_count_each_turn_and_branches_the_dearest():
    square = jax.ShapeDtypeStruct((5, 5), jnp.float32)

    def loop(x):
        return jax.lax.scan(lambda carry, _: (carry @ x, None), x, length=7)[0]

    def branch(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x @ x @ x, x)

    assert multiply_adds(loop, square) == 7 * 125
    assert multiply_adds(jax.jit(branch), square) == 2 * 125
    assert multiply_adds(jnp.sin, square) == 0


def test_parameters_are_counted():
    assert parameter_count({"a": jnp.zeros((2, 3)), "b": {"c": jnp.zeros(())}}) == 7
