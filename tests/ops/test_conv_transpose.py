"""Transposed convolution: zeros between, then cross-correlation; and the transpose of `conv`."""

from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest

from cnnjax import ops
from tests.ops import oracle
from tests.ops.oracle import Axis
from tests.ops.strategies import integers
from tests.ops.together import together

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


def assert_equal(calls, expected, names):
    """Outputs of all the operators, compiled as one program, are these."""
    for z, known, name in zip(together(calls), expected, names, strict=True):
        np.testing.assert_array_equal(z, known, err_msg=str(name))


def operator(padding, stride, dilation=1, **options):
    return partial(
        ops.conv_transpose, strides=stride, padding=padding, kernel_dilation=dilation, **options
    )


def applied(layer, x, kernel):
    return layer.apply({"params": {"kernel": kernel}}, x)


@pytest.mark.parametrize("sizes", [(4,), (3, 2), (1, 3)], ids=str)
def test_transposed_kernel_is_the_transpose_of_conv(sizes):
    """conv_transpose(y, K, transpose_kernel=True) = sum h of the convolution with K."""
    calls, expected = [], []
    for padding, stride, window, dilation in OPTIONS:
        axes = [forward_axis(size, padding, stride, window, dilation) for size in sizes]
        assert oracle.out_space(axes) == sizes
        kernel = integers(0, 99, *[window] * len(sizes), 2, 3)
        y = integers(1, 99, 2, *sizes, 3)
        space = [axis.size for axis in axes]
        expected.append(oracle.input_gradient(y, kernel, (2, *space, 2), axes))
        calls.append((operator(padding, stride, dilation, transpose_kernel=True), (y, kernel)))
    assert_equal(calls, expected, OPTIONS)


@pytest.mark.parametrize("sizes", [(4,), (3, 2), (2, 1, 2)], ids=str)
def test_plain_is_zeros_between_and_cross_correlation(sizes):
    """The unflipped kernel [*window, in, out], over x with zeros between and around."""
    calls, expected = [], []
    for padding, stride, window, dilation in ZEROS:
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
        expected.append(oracle.convolve(x, kernel, axes))
        calls.append((operator(padding, stride, dilation), (x, kernel)))
    assert_equal(calls, expected, ZEROS)


@pytest.mark.fast
def test_explicit_zeros_go_around_the_interleaved_input():
    paddings = [0, 2, ((1, 0), (0, 3)), (1, (2, 0))]
    x, kernel = integers(0, 99, 2, 4, 3, 2), integers(1, 99, 3, 2, 2, 3)
    expected = []
    for padding in paddings:
        entries = (padding,) * 2 if isinstance(padding, int) else padding
        pairs = [(entry, entry) if isinstance(entry, int) else entry for entry in entries]
        axes = [
            Axis(4, 3, 1, pairs[0], input_dilation=2),
            Axis(3, 2, 1, pairs[1], input_dilation=3),
        ]
        expected.append(oracle.convolve(x, kernel, axes))
    calls = [(operator(padding, (2, 3)), (x, kernel)) for padding in paddings]
    assert_equal(calls, expected, paddings)


@pytest.mark.parametrize(
    ("padding", "transpose_kernel"),
    [("SAME", False), ("SAME", True), ("VALID", False), ("VALID", True), ("CIRCULAR", False)],
)
def test_values_are_flaxs(padding, transpose_kernel):
    """Circular with the transposed kernel is the transpose above; flax's is off by a pixel there
    for some windows and strides (2 and 1; 3 and 3)."""
    x = integers(0, 99, 2, 4, 3, 2)
    sizes = [(1, 3), (2, 3), (2, 2), (3, 4)]
    ours, theirs = [], []
    for stride, window in sizes:
        layer = nn.ConvTranspose(
            3,
            (window, window),
            (stride, stride),
            padding,
            transpose_kernel=transpose_kernel,
            use_bias=False,
        )
        channels = (3, 2) if transpose_kernel else (2, 3)
        kernel = integers(1, 99, window, window, *channels)
        call = operator(padding, stride, transpose_kernel=transpose_kernel)
        ours.append((call, (x, kernel)))
        theirs.append(
            (lambda x, k, layer=layer: layer.apply({"params": {"kernel": k}}, x), (x, kernel))
        )
    assert_equal(ours, together(theirs), sizes)


@pytest.mark.fast
def test_gradients_are_a_convolution_and_a_sum_over_pairs():
    """With the transposed kernel, x's gradient is the convolution itself, and K's the sum g."""
    axes = [forward_axis(3, "VALID", 2, 3, 1)]
    kernel, y = integers(0, 9, 3, 2, 3), integers(1, 9, 2, 3, 3)
    cotangent = integers(2, 9, 2, axes[0].size, 2)

    def gradients(y, kernel, cotangent):
        _, pullback = jax.vjp(operator("VALID", 2, transpose_kernel=True), y, kernel)
        return pullback(cotangent)

    ((dy, dkernel),) = together([(gradients, (y, kernel, cotangent))])
    np.testing.assert_array_equal(dy, oracle.convolve(cotangent, kernel, axes))
    np.testing.assert_array_equal(dkernel, oracle.bank_gradient(y, cotangent, kernel.shape, axes))
