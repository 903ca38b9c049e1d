"""The oracle against libraries, and against the textbook's own sums, before it judges anything."""

import numpy as np
import pytest
import scipy.signal

from tests.ops import oracle
from tests.ops.oracle import Axis

pytestmark = pytest.mark.fast


def integers(seed, *shape):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float64)


@pytest.mark.parametrize(
    ("padding", "mode", "pad_mode"),
    [
        ("VALID", "valid", None),
        ("FULL", "full", None),
        ("SAME", "same", None),
        ("CIRCULAR", "valid", "wrap"),
        ("REFLECT", "valid", "reflect"),
        ((2, 0), "valid", "zero"),
    ],
)
@pytest.mark.parametrize("window", [1, 3, 4])
def test_one_channel_is_scipys_correlation(padding, mode, pad_mode, window):
    x, kernel = integers(0, 7), integers(1, window)
    low, high = (window - 1) // 2, window // 2
    padded = {
        None: x,
        "zero": np.pad(x, (2, 0)),
        "wrap": np.pad(x, (low, high), mode="wrap"),
        "reflect": np.pad(x, (low, high), mode="reflect"),
    }[pad_mode]
    expected = scipy.signal.correlate(padded, kernel, mode=mode, method="direct")
    if padding == "SAME" and window == 4:  # scipy puts the extra zero low, XLA high
        expected = scipy.signal.correlate(np.pad(x, (1, 2)), kernel, "valid", "direct")
    z = oracle.convolve(x[None, :, None], kernel[:, None, None], [Axis(7, window, 1, padding)])
    np.testing.assert_array_equal(z[0, :, 0], expected)


def test_dilations_are_kernels_and_inputs_with_zeros_between():
    x, kernel = integers(2, 5), integers(3, 3)
    apart, spread = np.zeros(9), np.zeros(7)
    apart[::2], spread[::3] = x, kernel
    axis = Axis(5, 3, 1, "VALID", kernel_dilation=3, input_dilation=2)
    z = oracle.convolve(x[None, :, None], kernel[:, None, None], [axis])
    np.testing.assert_array_equal(z[0, :, 0], np.correlate(apart, spread, "valid"))


def test_gradient_sums_are_the_textbooks():
    """dK[i,j,k,l] = sum_{m,n} G[i,m,n] V[j, m*s+k, n*s+l], and dV, literally, channels first."""
    stride, window, outputs, inputs = 2, 3, 2, 3
    volume, gradient = integers(4, inputs, 7, 9), integers(5, outputs, 3, 4)
    kernel = integers(6, outputs, inputs, window, window)
    dkernel, dvolume = np.zeros_like(kernel), np.zeros_like(volume)
    for i, j, k, col in np.ndindex(dkernel.shape):
        for m, n in np.ndindex(3, 4):
            dkernel[i, j, k, col] += gradient[i, m, n] * volume[j, m * stride + k, n * stride + col]
    for i, j, k in np.ndindex(dvolume.shape):
        for row, m in np.ndindex(3, window):
            for n, p in np.ndindex(4, window):
                if row * stride + m == j and n * stride + p == k:
                    dvolume[i, j, k] += np.sum(kernel[:, i, m, p] * gradient[:, row, n])

    axes = [Axis(7, window, stride), Axis(9, window, stride)]
    last = np.moveaxis(volume, 0, -1)[None], np.moveaxis(gradient, 0, -1)[None]
    bank = kernel.transpose(2, 3, 1, 0)
    ours = oracle.bank_gradient(last[1], last[0], bank.shape, axes)
    np.testing.assert_array_equal(ours, dkernel.transpose(2, 3, 1, 0))
    ours = oracle.input_gradient(last[1], bank, last[0].shape, axes)
    np.testing.assert_array_equal(ours[0], np.moveaxis(dvolume, 0, -1))


RULES = {"shared": (oracle.shared, ()), "tiled": (oracle.tiled((2,)), (2,))}
RULES["local"] = (oracle.local, (4,))


@pytest.mark.parametrize("name", RULES)
def test_gradient_sums_are_adjoint_to_the_forward_sum(name):
    """<G, z> = <dK, K> = <dV, V>: z is linear in either."""
    rule, bank_axes = RULES[name]
    axes = [Axis(7, 3, 2, "REFLECT")]
    x, bank = integers(7, 2, 7, 4), integers(8, *bank_axes, 3, 2, 6)
    z = oracle.convolve(x, bank, axes, 2, rule)
    cotangent = integers(9, *z.shape)
    value = np.sum(cotangent * z)
    dbank = oracle.bank_gradient(cotangent, x, bank.shape, axes, 2, rule)
    dx = oracle.input_gradient(cotangent, bank, x.shape, axes, 2, rule)
    assert value == np.sum(dbank * bank) == np.sum(dx * x)
    assert value != np.sum(dx[:, ::-1] * x)


def test_low_rank_is_the_local_convolution_with_mixed_kernels():
    axes = [Axis(4, 3, 1, "SAME"), Axis(3, 2, 1, "VALID")]
    x, kernels = integers(10, 2, 4, 3, 2), integers(11, 3, 3, 2, 2, 2)
    weights = integers(12, 4, 2, 3)
    bank = np.tensordot(weights, kernels, axes=1)
    z = oracle.low_rank(x, kernels, weights, axes)
    np.testing.assert_array_equal(z, oracle.convolve(x, bank, axes, 1, oracle.local))
    cotangent = integers(13, *z.shape)
    value = np.sum(cotangent * z)
    gradients = oracle.low_rank_gradients(cotangent, x, kernels, weights, axes)
    for operand, gradient in zip((x, kernels, weights), gradients, strict=True):
        assert value == np.sum(operand * gradient)
