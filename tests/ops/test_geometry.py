"""Sizes, counts and receptive fields against enumeration and against published numbers."""

import itertools
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cnnjax.ops import geometry
from tests.ops import oracle
from tests.ops.strategies import geometries

pytestmark = pytest.mark.fast


def line(axis):
    """The operator's names for an oracle axis."""
    return {
        "size": axis.size,
        "window": axis.window,
        "stride": axis.stride,
        "padding": axis.padding,
        "kernel_dilation": axis.kernel_dilation,
        "input_dilation": axis.input_dilation,
    }


@hypothesis.settings(max_examples=300)
@hypothesis.given(geometries())
def test_output_size_is_the_number_of_windows(drawn):
    for axis in drawn.axes:
        size = geometry.output_size(**line(axis))
        assert type(size) is int
        assert size == len(oracle.reads(axis))


@hypothesis.settings(max_examples=300)
@hypothesis.given(geometries())
def test_first_and_last_windows_lie_inside_the_padding(drawn):
    """The first window starts at -low; another would not fit behind the last."""
    for axis in drawn.axes:
        if axis.padding in ("CIRCULAR", "REFLECT") and axis.input_dilation > 1:
            continue
        low, high = geometry.padding_pair(**line(axis))
        window, length = oracle.effective_window(axis), oracle.interleaved_size(axis)
        last = (len(oracle.reads(axis)) - 1) * axis.stride - low
        assert last + window <= length + high < last + window + axis.stride


@pytest.mark.parametrize(
    ("padding", "size", "window", "stride", "expected"),
    [
        ("VALID", 7, 3, 1, (0, 0)),
        ("FULL", 7, 3, 1, (2, 2)),
        ("SAME", 7, 3, 1, (1, 1)),
        ("SAME", 7, 4, 1, (1, 2)),  # the extra zero goes high
        ("SAME", 6, 3, 2, (0, 1)),
        ("SAME", 5, 1, 3, (0, 0)),
        ("CIRCULAR", 7, 4, 1, (1, 2)),
        ("CIRCULAR", 6, 3, 2, (1, 1)),
        ("REFLECT", 7, 2, 1, (0, 1)),
        (2, 7, 3, 1, (2, 2)),
        ((0, 3), 7, 3, 1, (0, 3)),
    ],
)
def test_padding_worked_by_hand(padding, size, window, stride, expected):
    pair = geometry.padding_pair(size, window, stride, padding, kernel_dilation=1, input_dilation=1)
    assert tuple(pair) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # AlexNet: 96 filters of 11x11x3; then 256 of 5x5 in two groups of 48 channels.
        ({"kernel_size": (11, 11), "in_features": 3, "features": 96}, 34_848),
        (
            {"kernel_size": (5, 5), "in_features": 96, "features": 256, "feature_group_count": 2},
            307_200,
        ),
        # VGG's first layer with its biases, LeNet's C1 ("156 trainable parameters").
        ({"kernel_size": (3, 3), "in_features": 3, "features": 64, "use_bias": True}, 1_792),
        ({"kernel_size": (5, 5), "in_features": 1, "features": 6, "use_bias": True}, 156),
        # Depthwise, a bank (its biases are banked with it), one and three axes.
        ({"kernel_size": (3, 3), "in_features": 8, "features": 8, "feature_group_count": 8}, 72),
        ({"kernel_size": (3,), "in_features": 2, "features": 4, "kernels": 5}, 120),
        (
            {"kernel_size": (3,), "in_features": 2, "features": 4, "kernels": 5, "use_bias": True},
            140,
        ),
        ({"kernel_size": (2, 3, 4), "in_features": 1, "features": 1}, 24),
    ],
)
def test_weight_count(arguments, expected):
    assert geometry.weight_count(**arguments) == expected


def test_multiply_adds():
    # AlexNet's first layer: 55x55 outputs of 96 filters, each 11x11x3.
    assert geometry.multiply_adds((55, 55), (11, 11), 3, 96) == 105_415_200
    # Two groups: each output channel reads half the channels.
    assert geometry.multiply_adds((27, 27), (5, 5), 96, 256, feature_group_count=2) == 223_948_800
    assert geometry.multiply_adds((4,), (3,), 2, 5) == 4 * 3 * 2 * 5


VGG16 = ([(3, 1, 1)] * 2 + [(2, 2, 1)]) * 2 + ([(3, 1, 1)] * 3 + [(2, 2, 1)]) * 3
ALEXNET = [(11, 4, 1), (3, 2, 1), (5, 1, 1), (3, 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1)]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], (1, 1)),
        ([(3, 1, 1)], (3, 1)),
        ([(3, 1, 1)] * 3, (7, 1)),
        ([(3, 2, 1), (3, 1, 1)], (7, 2)),
        ([(3, 1, 1), (3, 2, 1)], (5, 2)),
        ([(1, 3, 1), (2, 1, 1)], (4, 3)),
        (VGG16, (212, 32)),  # Araujo, Norris, Sim, 2019
        (ALEXNET, (195, 32)),  # the same
        ([(3, 1, d) for d in (1, 1, 2, 4, 8, 16, 1)] + [(1, 1, 1)], (67, 1)),  # Yu, Koltun, 2016
        ([(2, 1, 2**i) for i in range(10)], (1024, 1)),  # van den Oord et al., 2016
    ],
)
def test_receptive_field_worked_by_hand(layers, expected):
    assert tuple(geometry.receptive_field(layers)) == expected


LAYER = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.lists(LAYER, max_size=4))
def test_receptive_field_is_what_an_output_reads(layers):
    def read_by(output):
        positions = {output}
        for window, stride, dilation in reversed(layers):
            offsets = range(0, window * dilation, dilation)
            positions = {p * stride + a for p, a in itertools.product(positions, offsets)}
        return positions

    size, step = geometry.receptive_field(layers)
    assert size == max(read_by(0)) - min(read_by(0)) + 1
    assert step == min(read_by(1)) - min(read_by(0))


@pytest.mark.parametrize(
    ("size", "stride", "tile", "expected"),
    [
        (24, 1, 1, 1),
        (24, 2, 1, 2),
        (24, 1, 4, 4),
        (24, 2, 4, 8),
        (24, 1, 5, 24),  # does not divide: only the zero shift
        (24, 5, 1, 24),
        (24, 16, 1, 24),
        (24, 4, 4, 24),
        (24, 1, 24, 24),
        (24, 1, 48, 24),
        (1, 1, 1, 1),
    ],
)
def test_predicted_step(size, stride, tile, expected):
    assert geometry.predicted_step(size, stride=stride, tile=tile) == expected


@pytest.mark.parametrize("size", range(3, 13))
@pytest.mark.parametrize(
    ("stride", "tile"), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3), (2, 2), (2, 3)]
)
def test_predicted_step_is_the_smallest_shift_that_commutes(size, stride, tile):
    """Measured on the explicit sums: a shift of the input is some shift of the output."""
    random = np.random.default_rng(size)
    x, bank = random.normal(size=(1, size, 1)), random.normal(size=(tile, 3, 1, 1))
    axes = [oracle.Axis(size, 3, stride, "CIRCULAR")]
    outputs = math.ceil(size / stride)

    def layer(x):
        return oracle.convolve(x, bank, axes, rule=oracle.tiled((tile,)))

    def commutes(shift):
        shifted = layer(np.roll(x, shift, axis=1))
        candidates = (np.roll(layer(x), roll, axis=1) for roll in range(outputs))
        return any(np.allclose(shifted, candidate, atol=1e-12) for candidate in candidates)

    measured = next(shift for shift in range(1, size + 1) if commutes(shift))
    assert geometry.predicted_step(size, stride, tile) == measured
