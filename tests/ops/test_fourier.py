"""Convolution through frequency is convolution; the cheapest algorithm is chosen by its cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.fourier import fast_length

CASES = [
    ((11,), (4,), {"padding": "SAME", "strides": 2}),
    ((9, 8), (5, 3), {"padding": "CIRCULAR", "kernel_dilation": 2}),
    ((7, 9), (3, 4), {"padding": "FULL", "flip_kernel": True}),
    ((5, 4, 6), (3, 2, 3), {"padding": ((1, 0), (0, 2), (1, 1)), "strides": (1, 2, 1)}),
    ((6, 6), (3, 3), {"padding": "REFLECT"}),
]


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("space", "taps", "options"), CASES, ids=str)
def test_equal_to_direct_convolution(space, taps, options):
    x, kernel = normal(0, 2, *space, 3), normal(1, *taps, 3, 4)

    @jax.jit
    def gradients(x, kernel):
        found = []
        for conv in (ops.fft_conv, ops.conv):
            z, back = jax.vjp(lambda x, kernel, conv=conv: conv(x, kernel, **options), x, kernel)
            found.append((z, *back(jnp.cos(z.size + jnp.arange(z.size)).reshape(z.shape))))
        return found

    # Rounding of float32 transforms is relative to the largest of sums of up to 50 products.
    for ours, direct in zip(*gradients(x, kernel), strict=True):
        assert ours.dtype == direct.dtype
        np.testing.assert_allclose(ours, direct, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_a_zero_comes_out_as_rounding_of_the_largest(strides):
    x, kernel = normal(2, 1, 12, 12, 1), normal(3, 3, 3, 1, 1)
    x[:, :3] = 0

    @jax.jit
    def both(x):
        ours, direct = (
            conv(x, kernel, strides=strides, padding="VALID") for conv in (ops.fft_conv, ops.conv)
        )
        return ours, direct, ops.conv(x, kernel, padding="VALID")

    ours, direct, dense = jax.device_get(both(x))
    np.testing.assert_array_equal(direct[:, 0], 0)
    # Twelve float32 roundings of the largest, at most.
    assert np.abs(ours[:, 0]).max() <= 1e-6 * np.abs(dense).max()


def test_bfloat16_leading_axes_and_bad_channels():
    x, kernel = np.ones((2, 3, 8, 1), jnp.bfloat16), np.ones((3, 1, 2), jnp.bfloat16)
    z = np.asarray(jax.jit(lambda x, kernel: ops.fft_conv(x, kernel, padding="VALID"))(x, kernel))
    assert (z.shape, z.dtype) == ((2, 3, 6, 2), jnp.bfloat16)
    np.testing.assert_array_equal(z, np.full(z.shape, 3, jnp.bfloat16))
    with pytest.raises(ValueError, match="reads 4 input channels"):
        ops.fft_conv(x, np.ones((3, 4, 2), np.float32))


@pytest.mark.fast
def test_lengths_the_transform_likes():
    assert [fast_length(n) for n in (1, 7, 11, 17, 97, 128)] == [1, 8, 12, 18, 100, 128]


@pytest.mark.fast
def test_costs_are_counts():
    costs = ops.algorithm_costs((16, 16), 5, batch=3, padding="VALID")
    assert costs["direct"] == 3 * 12 * 12 * 25
    # Rows first: 12 rows of 16 columns, 5 taps each; then 12 by 12.
    assert costs["separable"] == 3 * (12 * 16 * 5 + 12 * 12 * 5)
    assert costs["fft"] == 2.5 * 256 * 8 * (3 * 2 + 1) + 2 * 256 * 3
    assert "separable" not in ops.algorithm_costs((16, 16), 5, 2, 1)


@pytest.mark.fast
def test_the_cheapest_is_chosen():
    assert ops.best_algorithm({"direct": 2.0, "fft": 3.0, "separable": 1.0}) == "direct"
    assert ops.best_algorithm({"direct": 2.0, "separable": 1.0}, separable=True) == "separable"
    with pytest.raises(ValueError, match="a cost to choose from"):
        ops.best_algorithm({})
    small, large = (
        ops.algorithm_costs((64, 64), size, 16, 16, batch=16, padding="CIRCULAR")
        for size in (1, 31)
    )
    assert (ops.best_algorithm(small), ops.best_algorithm(large)) == ("direct", "fft")


@pytest.mark.fast
def test_crossover_is_where_fft_stays_cheaper():
    fft = dict.fromkeys((1, 3, 5, 7), 10.0)
    direct = {1: 1.0, 3: 11.0, 5: 9.0, 7: 20.0}
    costs = {size: {"fft": fft[size], "direct": direct[size]} for size in fft}
    assert ops.crossover(costs) == 7
    assert ops.crossover({3: {"fft": 2.0, "direct": 1.0}}) is None
