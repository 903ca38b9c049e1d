"""No operator computes or holds more than its layer needs, by what it hands to XLA."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from cnnjax import ops
from tests.ops.jaxprs import equations


def trace(function, *shapes):
    return jax.make_jaxpr(function)(*[jnp.zeros(shape) for shape in shapes]).jaxpr


def multiply_adds(jaxpr, platform="cpu"):
    """Of all products, zeros that padding or dilation puts in between counted as numbers."""
    total = 0
    for equation in equations(jaxpr, platform):
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            lhs = equation.invars[0].aval.shape
            total += equation.outvars[0].aval.size * math.prod(lhs[i] for i in contracted)
        if equation.primitive.name == "conv_general_dilated":
            numbers = equation.params["dimension_numbers"].rhs_spec
            kernel = equation.invars[1].aval.shape
            reads = math.prod(kernel[i] for i in numbers[1:])
            total += equation.outvars[0].aval.size * reads // equation.params["batch_group_count"]
    return total


def largest(jaxpr):
    """Number of elements of the largest array that anything inside produces."""
    return max(variable.aval.size for equation in equations(jaxpr) for variable in equation.outvars)


def pullback(operator, cotangent_shape, *shapes):
    """The jaxpr of output and gradients together."""

    def call(cotangent, *operands):
        z, pull = jax.vjp(operator, *operands)
        return z, *pull(cotangent)

    return trace(call, cotangent_shape, *shapes)


X = (2, 12, 12, 4)
TILES = [(2, 2), (3, 3), (4, 4), (2, 3), (5, 1), (12, 12)]
tiles = pytest.mark.parametrize("tile", TILES, ids=str)


def masked_tiled_conv(x, bank, tile):
    """The costly way: every kernel everywhere, all but one result thrown away."""
    rows, columns = jnp.arange(12) % tile[0], jnp.arange(12) % tile[1]
    z = jnp.zeros((2, 12, 12, 6))
    for i in range(tile[0]):
        for j in range(tile[1]):
            mask = ((rows == i)[:, None] & (columns == j)[None, :])[None, :, :, None]
            z = z + jnp.where(mask, ops.conv(x, bank[i, j], padding="CIRCULAR"), 0.0)
    return z


@tiles
@pytest.mark.parametrize("platform", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("options", "outputs"),
    [
        ({"padding": "CIRCULAR"}, 12 * 12),
        ({"strides": 2, "padding": "VALID"}, 5 * 5),
        ({"feature_group_count": 2}, 12 * 12),
    ],
    ids=str,
)
def test_tiled_costs_the_multiply_adds_of_conv(tile, platform, options, outputs):
    """Batch x outputs x window x channels in a group x features, for both."""
    channels = 4 // options.get("feature_group_count", 1)
    kernel = (3, 3, channels, 6)
    expected = 2 * outputs * 9 * channels * 6
    standard = trace(partial(ops.conv, **options), X, kernel)
    tiled = trace(partial(ops.tiled_conv, **options), X, (*tile, *kernel))
    assert multiply_adds(standard, platform) == expected
    assert multiply_adds(tiled, platform) == expected


@pytest.mark.fast
def test_the_counter_sees_masking():
    kernel = (3, 3, 4, 6)
    standard = multiply_adds(trace(ops.conv, X, kernel))
    assert standard == 2 * 12 * 12 * 9 * 4 * 6
    masked = trace(partial(masked_tiled_conv, tile=(2, 2)), X, (2, 2, *kernel))
    assert multiply_adds(masked) == 4 * standard


def flops(operator, cotangent_shape, *shapes):
    """XLA's own count for output and gradients; it leaves out zeros from padding and dilation."""

    def call(cotangent, *operands):
        z, pull = jax.vjp(operator, *operands)
        return z, *pull(cotangent)

    structs = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (cotangent_shape, *shapes)]
    return jax.jit(call).lower(*structs).cost_analysis()["flops"]


@tiles
def test_tiled_gradients_cost_those_of_conv(tile):
    """Three products of one size; every kernel may add its share to the input's gradient once."""
    z, kernel = (2, 12, 12, 6), (3, 3, 4, 6)
    sums = math.prod(tile) * math.prod((2, 14, 14, 4))
    standard = flops(partial(ops.conv, padding="CIRCULAR"), z, X, kernel)
    tiled = flops(partial(ops.tiled_conv, padding="CIRCULAR"), z, X, (*tile, *kernel))
    assert 0.9 * standard <= tiled <= 1.1 * standard + sums


@pytest.mark.fast
def test_the_gradient_counter_sees_masking():
    z, kernel = (2, 12, 12, 6), (3, 3, 4, 6)
    standard = flops(partial(ops.conv, padding="CIRCULAR"), z, X, kernel)
    masked = flops(partial(masked_tiled_conv, tile=(2, 2)), z, X, (2, 2, *kernel))
    assert masked > 3.5 * standard


def dense_local_conv(x, bank):
    """The forbidden way for one channel: a [positions, positions] matrix."""
    matrix = jnp.zeros((144, 144))
    for p in range(144):
        row, column = divmod(p, 12)
        for a in range(3):
            for b in range(3):
                q = (row + a - 1) % 12 * 12 + (column + b - 1) % 12
                matrix = matrix.at[p, q].set(bank[row, column, a, b, 0, 0])
    return (x.reshape(-1, 144) @ matrix.T).reshape(x.shape)


@pytest.mark.parametrize("padding", ["SAME", "CIRCULAR", "VALID"])
@pytest.mark.parametrize("gradients", [False, True])
def test_local_never_builds_positions_by_positions(padding, gradients):
    """One channel, 3x3, 144 positions: patches and bank have 9 a position, the matrix 144."""
    out = 10 if padding == "VALID" else 12
    operator = partial(ops.local_conv, padding=padding)
    shapes = (1, 12, 12, 1), (out, out, 3, 3, 1, 1)
    jaxpr = pullback(operator, (1, out, out, 1), *shapes) if gradients else trace(operator, *shapes)
    patches = out * out * 9
    assert largest(jaxpr) <= 2 * patches
    assert multiply_adds(jaxpr) <= (4 if gradients else 1) * patches


@pytest.mark.fast
def test_the_meter_sees_a_dense_matrix():
    jaxpr = trace(dense_local_conv, (1, 12, 12, 1), (12, 12, 3, 3, 1, 1))
    assert largest(jaxpr) == 144 * 144
    assert multiply_adds(jaxpr) == 144 * 144


@pytest.mark.parametrize("channels", [4, 16])
def test_local_costs_one_kernel_a_position(channels):
    """Multiply-adds of conv; nothing larger than the patches or the bank."""
    x, kernel = (2, 12, 12, channels), (3, 3, channels, channels)
    jaxpr = trace(ops.local_conv, x, (12, 12, *kernel))
    assert multiply_adds(jaxpr) == multiply_adds(trace(ops.conv, x, kernel))
    assert largest(jaxpr) <= 144 * math.prod(kernel)


@pytest.mark.parametrize("gradients", [False, True])
def test_low_rank_builds_no_local_bank(gradients):
    """Rank convolutions and their weighted sum: rank outputs at a time, not a kernel a position."""
    x, kernels, weights = (1, 12, 12, 8), (3, 3, 3, 8, 8), (12, 12, 3)
    operator = ops.low_rank_local_conv
    jaxpr = trace(operator, x, kernels, weights)
    if gradients:
        jaxpr = pullback(operator, (1, 12, 12, 8), x, kernels, weights)
    rank_outputs, bank = 3 * 144 * 8, 144 * 3 * 3 * 8 * 8
    assert rank_outputs <= largest(jaxpr) < 2 * rank_outputs < bank
    if not gradients:
        convolutions = 3 * multiply_adds(trace(ops.conv, x, kernels[1:]))
        # Each of the rank outputs is weighed and added once, perhaps as a product.
        assert convolutions <= multiply_adds(jaxpr) <= convolutions + rank_outputs
