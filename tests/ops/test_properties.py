"""The four operators and both their gradients against the explicit sums, on any geometry."""

from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from cnnjax import ops
from tests.ops import oracle
from tests.ops.strategies import Geometry, assert_agrees, flat, geometries, integers, rounded

DTYPES = st.sampled_from([jnp.float32, jnp.float32, jnp.bfloat16])
SEEDS = st.integers(0, 2**16)
# Each is compiled; `pytest -m slow` tries thousands of configurations of the same operators.
few = hypothesis.settings(max_examples=8)


def value_and_gradients(operator, operands, cotangent):
    """One compiled call: the output and the gradient of sum(cotangent * output)."""

    @jax.jit
    def call(operands, cotangent):
        z, pullback = jax.vjp(operator, *operands)
        return z, *pullback(cotangent)

    return call(operands, cotangent)


def check_bank(operator, geometry, bank_axes, rule, dtype, seed):
    """`operator`(x, bank) and its gradients are the sums z, h and g."""
    x, x64 = rounded(integers(seed, 300, *geometry.x_shape), dtype)
    bank, bank64 = rounded(integers(seed + 1, 300, *bank_axes, *geometry.kernel_shape), dtype)
    cotangent, g64 = rounded(integers(seed + 2, 20, *geometry.out_shape), dtype)
    results = value_and_gradients(partial(operator, **geometry.options), (x, bank), cotangent)
    assert [result.shape for result in results] == [geometry.out_shape, x.shape, bank.shape]

    def sums(x, bank, g):
        rest = geometry.axes, geometry.groups, rule
        yield oracle.convolve(x, bank, *rest)
        yield oracle.input_gradient(g, bank, x.shape, *rest)
        yield oracle.bank_gradient(g, x, bank.shape, *rest)

    operands = flat(x64, geometry.leading), bank64, flat(g64, geometry.leading)
    magnitudes = sums(*map(np.abs, operands))
    for result, expected, magnitude in zip(results, sums(*operands), magnitudes, strict=True):
        assert_agrees(result, expected, magnitude, dtype)


@few
@hypothesis.given(geometries(), DTYPES, SEEDS)
def test_conv(geometry, dtype, seed):
    check_bank(ops.conv, geometry, (), oracle.shared, dtype, seed)


@few
@hypothesis.given(geometries(), st.data(), DTYPES, SEEDS)
def test_tiled_conv(geometry, data, dtype, seed):
    """Tiles from 1 to beyond the output, dividing it or not, different per axis."""
    tile = tuple(data.draw(st.integers(1, min(out + 1, 4))) for out in geometry.out_space)
    check_bank(ops.tiled_conv, geometry, tile, oracle.tiled(tile), dtype, seed)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("lines", "tile"),
    [
        # (size, window, stride, padding) of each axis. Seen from its own phase, a kernel's
        # padding is negative low and positive high: XLA on CPU (jax 0.10) gets that wrong.
        ([(6, 2, 2, (0, 3)), (6, 1, 2, (0, 1))], (4, 3)),
        ([(6, 3, 1, (1, 1)), (4, 2, 1, (0, 1))], (6, 4)),
        ([(6, 2, 1, (0, 1)), (5, 2, 1, (0, 1))], (2, 2)),
        ([(6, 2, 1, (0, 1)), (5, 2, 1, (0, 1))], (3, 5)),
        ([(7, 3, 2, (0, 2)), (5, 2, 1, (0, 2))], (3, 2)),
        ([(5, 2, 1, (0, 2)), (3, 2, 1, (0, 1)), (3, 2, 1, (0, 1))], (3, 2, 2)),
    ],
)
def test_tiled_conv_where_windows_cross_the_high_border(lines, tile):
    axes = [oracle.Axis(*line) for line in lines]
    options = {"strides": tuple(axis.stride for axis in axes)}
    options["padding"] = tuple(axis.padding for axis in axes)
    geometry = Geometry(axes, (2,), 1, 4, 2, options)
    check_bank(ops.tiled_conv, geometry, tile, oracle.tiled(tile), jnp.float32, 0)


@pytest.mark.fast
def test_conv_with_more_zeros_than_its_window():
    """The input's gradient is then a convolution with such a padding: lax's own is wrong there."""
    axes = [oracle.Axis(6, 2, 1, (2, 0)), oracle.Axis(5, 2, 1, (2, 0))]
    geometry = Geometry(axes, (2,), 1, 4, 4, {"padding": ((2, 0), (2, 0))})
    check_bank(ops.conv, geometry, (), oracle.shared, jnp.float32, 0)


@few
@hypothesis.given(geometries(), DTYPES, SEEDS)
def test_local_conv(geometry, dtype, seed):
    check_bank(ops.local_conv, geometry, geometry.out_space, oracle.local, dtype, seed)


@few
@hypothesis.given(geometries(), st.integers(1, 3), DTYPES, SEEDS)
def test_low_rank_local_conv(geometry, rank, dtype, seed):
    x, x64 = rounded(integers(seed, 100, *geometry.x_shape), dtype)
    kernels, kernels64 = rounded(integers(seed + 1, 300, rank, *geometry.kernel_shape), dtype)
    weights, weights64 = rounded(integers(seed + 2, 3, *geometry.out_space, rank), dtype)
    cotangent, g64 = rounded(integers(seed + 3, 3, *geometry.out_shape), dtype)
    operator = partial(ops.low_rank_local_conv, **geometry.options)
    results = value_and_gradients(operator, (x, kernels, weights), cotangent)
    shapes = [result.shape for result in results]
    assert shapes == [geometry.out_shape, x.shape, kernels.shape, weights.shape]

    def sums(x, kernels, weights, g):
        rest = geometry.axes, geometry.groups
        yield oracle.low_rank(x, kernels, weights, *rest)
        yield from oracle.low_rank_gradients(g, x, kernels, weights, *rest)

    x64, g64 = flat(x64, geometry.leading), flat(g64, geometry.leading)
    magnitudes = sums(*map(np.abs, (x64, kernels64, weights64, g64)))
    expectations = sums(x64, kernels64, weights64, g64)
    for result, expected, magnitude in zip(results, expectations, magnitudes, strict=True):
        assert_agrees(result, expected, magnitude, dtype)


@pytest.mark.fast
def test_low_rank_in_groups_without_a_batch():
    """Output and gradients in one program: over arrays of seven axes XLA (jax 0.10) died of it."""
    axes = [
        oracle.Axis(5, 2, 1, (0, 0), 1, 3),
        oracle.Axis(3, 1, 1, (3, 3)),
        oracle.Axis(3, 1, 1, (2, 2)),
    ]
    options = {"padding": (0, 3, 2), "input_dilation": (3, 1, 1), "feature_group_count": 2}
    shapes = (5, 3, 3, 8), (2, 2, 1, 1, 4, 8), (12, 9, 7, 2)
    x, kernels, weights = (integers(seed, 9, *shape) for seed, shape in enumerate(shapes))
    cotangent = integers(3, 9, 12, 9, 7, 8)
    arrays = [array.astype(np.float32) for array in (x, kernels, weights, cotangent)]

    def operator(x, kernels):
        return ops.low_rank_local_conv(x, kernels, arrays[2], **options)

    results = value_and_gradients(operator, arrays[:2], arrays[3])
    z = oracle.low_rank(x[None], kernels, weights, axes, 2)
    dx, dkernels, _ = oracle.low_rank_gradients(cotangent[None], x[None], kernels, weights, axes, 2)
    for result, expected in zip(results, (z[0], dx[0], dkernels), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", ["conv", "tiled_conv", "local_conv"])
def test_float64_keeps_all_its_digits(name):
    """Real numbers, relative to the sum of magnitudes: float32 anywhere inside would show."""
    bank_axes, rule = {
        "conv": ((), oracle.shared),
        "tiled_conv": ((2, 3), oracle.tiled((2, 3))),
        "local_conv": ((3, 5), oracle.local),
    }[name]
    axes = [oracle.Axis(6, 3, 2, "CIRCULAR"), oracle.Axis(5, 2, 1, "CIRCULAR")]
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 6, 5, 4))
    bank = random.normal(size=(*bank_axes, 3, 2, 2, 4))
    cotangent = random.normal(size=(2, 3, 5, 4))
    with jax.enable_x64(True):
        operator = partial(
            getattr(ops, name), strides=(2, 1), padding="CIRCULAR", feature_group_count=2
        )
        results = value_and_gradients(operator, (x, bank), cotangent)
    expectations = (
        oracle.convolve(x, bank, axes, 2, rule),
        oracle.input_gradient(cotangent, bank, x.shape, axes, 2, rule),
        oracle.bank_gradient(cotangent, x, bank.shape, axes, 2, rule),
    )
    for result, expected in zip(results, expectations, strict=True):
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-13)
