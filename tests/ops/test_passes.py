"""Every algorithm of every pass gives the sums of a convolution; which is chosen follows shapes."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.ops.convolution import depthwise_convolution
from cnnjax.ops.passes import Passes, convolve_in_passes, fastest_passes
from cnnjax.ops.window import make_window
from tests.ops import oracle
from tests.ops.jaxprs import equations
from tests.ops.strategies import integers

# Strides, both dilations, padding, and cropping as for a phase of a tile.
AXES = [oracle.Axis(5, 3, 2, (2, -1), 1, 2), oracle.Axis(6, 2, 1, (0, 3), 2, 1)]
WINDOW = dataclasses.replace(
    make_window((5, 6), (3, 2), (2, 1), ((2, 0), (0, 3)), (1, 2), (2, 1)),
    padding=((2, -1), (0, 3)),
    out_space=oracle.out_space(AXES),
)
EXACT = [
    Passes("patches", "overlap_add", "patches"),
    Passes("overlap_add", "patches", "overlap_add"),
    Passes("lax", "patches", "lax"),
]


def derivatives(operator, x, kernel, g, dx, dkernel):
    """Output, gradients, forward mode, and forward mode of the gradients."""

    def gradients(x, kernel):
        return jax.vjp(operator, x, kernel)[1](g)

    z, dz = jax.jvp(operator, (x, kernel), (dx, dkernel))
    along = jax.jvp(gradients, (x, kernel), (dx, dkernel))
    return z, dz, *along[0], *along[1]


def check(operator, groups, kernel_shape, window):
    """Exact on integers, against sums of loops in float64."""
    x, dx = (integers(seed, 9, 2, 5, 6, 2) for seed in (0, 1))
    kernel, dkernel = (integers(seed, 9, *kernel_shape) for seed in (2, 3))
    g = integers(4, 9, 2, *window.out_space, kernel_shape[-1])
    arrays = [jnp.asarray(array, jnp.float32) for array in (x, kernel, g, dx, dkernel)]
    results = jax.jit(partial(derivatives, operator))(*arrays)
    rest = AXES, groups, oracle.shared
    convolved = partial(oracle.convolve, axes=AXES, groups=groups, rule=oracle.shared)
    expectations = (
        convolved(x, kernel),
        convolved(dx, kernel) + convolved(x, dkernel),
        oracle.input_gradient(g, kernel, x.shape, *rest),
        oracle.bank_gradient(g, x, kernel.shape, *rest),
        oracle.input_gradient(g, dkernel, x.shape, *rest),
        oracle.bank_gradient(g, dx, kernel.shape, *rest),
    )
    for result, expected in zip(results, expectations, strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("passes", EXACT, ids=str)
def test_every_algorithm_gives_the_sums_of_every_pass(passes):
    def operator(x, kernel):
        return convolve_in_passes(x, kernel, WINDOW, None, passes)

    check(operator, 1, (3, 2, 2, 3), WINDOW)


def test_depthwise_gives_the_sums_of_every_pass():
    """Two kernels a channel."""
    window = dataclasses.replace(WINDOW, feature_group_count=2)
    check(partial(depthwise_convolution, window=window), 2, (3, 2, 1, 4), window)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("shapes", "options", "expected"),
    [
        # Shapes: batch, size of both axes, channels, features, window.
        ((32, 32, 64, 64, 3), {}, Passes()),
        ((32, 32, 64, 64, 3), {"strides": 2}, Passes()),
        ((32, 32, 1, 8, 5), {}, Passes("patches", "patches", "lax")),
        ((32, 32, 3, 64, 7), {}, Passes("lax", "patches", "lax")),
        ((32, 32, 3, 64, 3), {"strides": 2}, Passes()),
        ((32, 32, 64, 3, 3), {}, Passes("overlap_add", "lax", "overlap_add")),
        ((32, 32, 64, 3, 1), {}, Passes()),
        ((32, 4, 64, 64, 5), {}, Passes("patches", "patches", "lax")),
        ((32, 4, 64, 64, 4), {}, Passes()),  # as many positions as kernel entries
        ((32, 9, 64, 64, 3), {"strides": 4, "padding": "VALID"}, Passes("lax", "patches", "lax")),
        ((32, 8, 64, 64, 3), {"padding": "FULL"}, Passes("lax", "lax", "overlap_add")),
        ((32, 8, 64, 64, 4), {"padding": 3, "input_dilation": 2},
         Passes("lax", "lax", "overlap_add")),
        # Too much to copy: 2^26 numbers.
        ((2**21, 4, 64, 64, 5), {}, Passes()),
    ],
    ids=str,
)  # fmt: skip
def test_the_choice_follows_shapes(shapes, options, expected):
    batch, size, in_features, features, kernel_size = shapes
    window = make_window((size, size), (kernel_size, kernel_size), **options)
    assert fastest_passes(batch, window, in_features, features) == expected


@pytest.mark.fast
@pytest.mark.parametrize(
    ("dtype", "name"), [("float32", "dot_general"), ("bfloat16", "conv_general_dilated")]
)
def test_conv_takes_the_choice_on_cpu_alone_and_never_rounds_more(dtype, name):
    x, kernel = jnp.zeros((2, 8, 8, 1), dtype), jnp.zeros((3, 3, 1, 8), dtype)
    for platform, expected in (("cpu", name), ("cuda", "conv_general_dilated")):
        jaxpr = jax.make_jaxpr(ops.conv)(x, kernel).jaxpr
        names = {equation.primitive.name for equation in equations(jaxpr, platform)}
        assert names & {"dot_general", "conv_general_dilated"} == {expected}


@pytest.mark.fast
def test_patches_are_not_kept_for_the_backward_pass():
    """What the forward pass hands to the backward pass is input and kernel: no patches."""
    window = make_window((8, 8), (3, 3))
    passes = Passes("patches", "patches", "patches")

    def operator(x, kernel):
        return convolve_in_passes(x, kernel, window, None, passes)

    def kept(x, kernel):
        return jax.vjp(operator, x, kernel)[1]

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 8, 8, 4), (3, 3, 4, 5))]
    largest = max(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(kept, *shapes)))
    assert largest <= 2 * 8 * 8 * 4 + 3 * 3 * 4 * 5
