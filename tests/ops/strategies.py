"""Hypothesis strategies: one convolution's geometry, and integers that float32 sums exactly."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from tests.ops import oracle
from tests.ops.oracle import Axis

NAMES = ("SAME", "VALID", "FULL", "CIRCULAR", "REFLECT")
# Largest (size, window) by rank: with them no sum below reaches 2**24, where float32 ends.
LARGEST = {1: (7, 4), 2: (5, 3), 3: (3, 2)}


@dataclass(frozen=True)
class Geometry:
    """The same layer for the oracle (axes, groups) and for the operator (options)."""

    axes: list[Axis]
    leading: tuple[int, ...]
    groups: int
    in_per_group: int
    features: int
    options: dict

    @property
    def x_shape(self):
        space = (axis.size for axis in self.axes)
        return (*self.leading, *space, self.groups * self.in_per_group)

    @property
    def kernel_shape(self):
        window = (axis.window for axis in self.axes)
        return (*window, self.in_per_group, self.features)

    @property
    def out_space(self):
        return oracle.out_space(self.axes)

    @property
    def out_shape(self):
        return (*self.leading, *self.out_space, self.features)


@st.composite
def geometries(draw):
    rank = draw(st.sampled_from([1, 1, 2, 2, 3]))
    paddings = draw(
        st.one_of(
            st.sampled_from(NAMES),
            st.integers(0, 2),
            st.tuples(
                *[st.integers(0, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2))] * rank
            ),
        )
    )
    axes = [draw(_axes(rank, padding)) for padding in _each(paddings, rank)]
    groups = draw(st.integers(1, 3 - (rank > 1)))
    options = {
        "strides": _one_or_all(draw, [axis.stride for axis in axes]),
        "kernel_dilation": _one_or_all(draw, [axis.kernel_dilation for axis in axes]),
        "input_dilation": _one_or_all(draw, [axis.input_dilation for axis in axes]),
        "padding": paddings,
        "feature_group_count": groups,
    }
    return Geometry(
        axes=axes,
        leading=draw(st.sampled_from([(), (2,), (2, 1)])),
        groups=groups,
        in_per_group=draw(st.integers(1, 2)),
        features=groups * draw(st.integers(1, 2)),
        options=options,
    )


def _each(padding, rank):
    """One entry an axis: a name, or (low, high)."""
    if isinstance(padding, str):
        return [padding] * rank
    entries = [padding] * rank if isinstance(padding, int) else padding
    return [(entry, entry) if isinstance(entry, int) else entry for entry in entries]


def _one_or_all(draw, values):
    """An int where every axis agrees and the draw says so, else a tuple."""
    return values[0] if len(set(values)) == 1 and draw(st.booleans()) else tuple(values)


@st.composite
def _axes(draw, rank, padding):
    largest_size, largest_window = LARGEST[rank]
    window = draw(st.integers(1, largest_window))
    # A window of one element has nothing to dilate: the value must then not matter.
    kernel_dilation = draw(st.integers(1, 3 if rank == 1 else 2))
    input_dilation = draw(st.sampled_from([1, 1, 1, 2, 3] if rank == 1 else [1, 1, 2]))
    effective = (window - 1) * kernel_dilation + 1
    # What the interleaved axis must at least hold for one window to fit.
    if padding == "REFLECT":
        needed = effective // 2 + 1
    elif padding == "VALID":
        needed = effective
    else:
        needed = 1 if isinstance(padding, str) else effective - sum(padding)
    smallest = max(math.ceil((needed - 1) / input_dilation) + 1, 1)
    size = draw(st.integers(smallest, max(smallest, largest_size)))
    stride = draw(st.integers(1, 3))
    return Axis(size, window, stride, padding, kernel_dilation, input_dilation)


def integers(seed, bound, *shape):
    """Whole numbers in [-bound, bound], as float64."""
    return np.random.default_rng(seed).integers(-bound, bound + 1, shape).astype(np.float64)


def rounded(array, dtype):
    """The array as `dtype` for the operator, and the same numbers in float64 for the oracle."""
    array = array.astype(dtype)
    return array, array.astype(np.float64)


def flat(array, leading):
    """Leading axes to one, as the oracle has it."""
    return array.reshape(-1, *array.shape[len(leading) :])


def assert_agrees(actual, expected, magnitude, dtype):
    """Equal in float32, where the sums are exact; within bfloat16's rounding in bfloat16.

    `magnitude` is the same sum over absolute values. A bfloat16 result may have been rounded at
    most a few times on its way, each time by half an eps of a partial sum, which is no larger.
    """
    assert actual.dtype == dtype
    assert actual.size == expected.size
    actual = np.asarray(actual).astype(np.float64).reshape(expected.shape)
    if dtype == jnp.float32:
        assert magnitude.max(initial=0) < 2**24
        np.testing.assert_array_equal(actual, expected)
    else:
        excess = np.abs(actual - expected) - 2 * float(jnp.finfo(dtype).eps) * magnitude
        assert excess.max(initial=0) <= 0
