"""Transposed convolution: zeros between, then cross-correlation; and the transpose of `conv`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from tests.ops import oracle
from tests.ops.oracle import Axis
from tests.ops.strategies import integers

OPTIONS = [
    ("VALID", 1, 3, 1),
    ("VALID", 2, 3, 1),
    ("VALID", 3, 2, 1),
    ("VALID", 2, 2, 2),
    ("SAME", 1, 3, 1),
    ("SAME", 2, 3, 1),
    ("SAME", 2, 2, 1),
    ("SAME", 2, 3, 2),
    ("SAME", 3, 2, 1),
    ("SAME", 4, 1, 1),
    ("CIRCULAR", 1, 2, 1),
    ("CIRCULAR", 2, 3, 1),
    ("CIRCULAR", 3, 3, 1),
    ("CIRCULAR", 2, 3, 2),
]
ZEROS = [options for options in OPTIONS if options[0] != "CIRCULAR"]


def output_size(size, window, stride, padding):
    """SAME and CIRCULAR make size*stride, VALID every place that any input reaches."""
    return size * stride + (max(window - stride, 0) if padding == "VALID" else 0)


def forward_axis(size, padding, stride, window, dilation):
    """The axis of the convolution whose transpose this is, from the larger side."""
    reach = (window - 1) * dilation + 1
    return Axis(output_size(size, reach, stride, padding), window, stride, padding, dilation)


@pytest.mark.parametrize(("padding", "stride", "window", "dilation"), OPTIONS)
@pytest.mark.parametrize("sizes", [(4,), (3, 2), (1, 3)], ids=str)
def test_transposed_kernel_is_the_transpose_of_conv(sizes, padding, stride, window, dilation):
    """conv_transpose(y, K, transpose_kernel=True) = sum h of the convolution with K."""
    axes = [forward_axis(size, padding, stride, window, dilation) for size in sizes]
    assert oracle.out_space(axes) == sizes
    kernel = integers(0, 99, *[window] * len(sizes), 2, 3)
    y = integers(1, 99, 2, *sizes, 3)
    expected = oracle.input_gradient(y, kernel, (2, *[axis.size for axis in axes], 2), axes)
    z = ops.conv_transpose(
        jnp.asarray(y, jnp.float32),
        jnp.asarray(kernel, jnp.float32),
        strides=stride,
        padding=padding,
        kernel_dilation=dilation,
        transpose_kernel=True,
    )
    np.testing.assert_array_equal(z, expected)


@pytest.mark.parametrize(("padding", "stride", "window", "dilation"), ZEROS)
@pytest.mark.parametrize("sizes", [(4,), (3, 2), (2, 1, 2)], ids=str)
def test_plain_is_zeros_between_and_cross_correlation(sizes, padding, stride, window, dilation):
    """The unflipped kernel [*window, in, out], over x with zeros between and around."""
    reach = (window - 1) * dilation + 1
    axes = []
    for size in sizes:
        length, target = (size - 1) * stride + 1, output_size(size, reach, stride, padding)
        total = target + reach - 1 - length
        # The transpose of a window that begins `low` before its input is one that begins
        # window - 1 - low before: SAME puts its extra zero high, the transpose low.
        low = max(reach - stride, 0) // 2 if padding == "SAME" else 0
        zeros = (reach - 1 - low, total - (reach - 1 - low))
        axes.append(Axis(size, window, 1, zeros, dilation, input_dilation=stride))
    x, kernel = integers(0, 99, 2, *sizes, 2), integers(1, 99, *[window] * len(sizes), 2, 3)
    z = ops.conv_transpose(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(kernel, jnp.float32),
        strides=stride,
        padding=padding,
        kernel_dilation=dilation,
    )
    np.testing.assert_array_equal(z, oracle.convolve(x, kernel, axes))


@pytest.mark.fast
@pytest.mark.parametrize("padding", [0, 2, ((1, 0), (0, 3)), (1, (2, 0))], ids=str)
def test_explicit_zeros_go_around_the_interleaved_input(padding):
    entries = (padding,) * 2 if isinstance(padding, int) else padding
    pairs = [(entry, entry) if isinstance(entry, int) else entry for entry in entries]
    axes = [
        Axis(4, 3, 1, pairs[0], input_dilation=2),
        Axis(3, 2, 1, pairs[1], input_dilation=3),
    ]
    x, kernel = integers(0, 99, 2, 4, 3, 2), integers(1, 99, 3, 2, 2, 3)
    z = ops.conv_transpose(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(kernel, jnp.float32),
        strides=(2, 3),
        padding=padding,
    )
    np.testing.assert_array_equal(z, oracle.convolve(x, kernel, axes))


@pytest.mark.parametrize(
    ("padding", "transpose_kernel"),
    [("SAME", False), ("SAME", True), ("VALID", False), ("VALID", True), ("CIRCULAR", False)],
)
@pytest.mark.parametrize(("stride", "window"), [(1, 3), (2, 3), (2, 2), (3, 4)])
def test_values_are_flaxs(padding, transpose_kernel, stride, window):
    """Circular with the transposed kernel is the transpose above; flax's is off by a pixel there
    for some windows and strides (2 and 1; 3 and 3)."""
    x = jnp.asarray(integers(0, 99, 2, 4, 3, 2), jnp.float32)
    layer = nn.ConvTranspose(
        3,
        (window, window),
        (stride, stride),
        padding,
        transpose_kernel=transpose_kernel,
        use_bias=False,
    )
    channels = (3, 2) if transpose_kernel else (2, 3)
    kernel = jnp.asarray(integers(1, 99, window, window, *channels), jnp.float32)
    z = ops.conv_transpose(
        x, kernel, strides=stride, padding=padding, transpose_kernel=transpose_kernel
    )
    expected = layer.apply({"params": {"kernel": kernel}}, x)
    np.testing.assert_array_equal(z, expected)


@pytest.mark.fast
def test_gradients_are_a_convolution_and_a_sum_over_pairs():
    """With the transposed kernel, x's gradient is the convolution itself, and K's the sum g."""
    axes = [forward_axis(3, "VALID", 2, 3, 1)]
    kernel, y = integers(0, 9, 3, 2, 3), integers(1, 9, 2, 3, 3)
    cotangent = integers(2, 9, 2, axes[0].size, 2)

    def operator(y, kernel):
        return ops.conv_transpose(y, kernel, strides=2, padding="VALID", transpose_kernel=True)

    operands = jnp.asarray(y, jnp.float32), jnp.asarray(kernel, jnp.float32)
    _, pullback = jax.vjp(operator, *operands)
    dy, dkernel = pullback(jnp.asarray(cotangent, jnp.float32))
    np.testing.assert_array_equal(dy, oracle.convolve(cotangent, kernel, axes))
    np.testing.assert_array_equal(dkernel, oracle.bank_gradient(y, cotangent, kernel.shape, axes))
