"""The flip, the three names of padding that NumPy knows, dtypes, and empty or many leading axes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from cnnjax import ops
from tests.ops.jaxprs import equations
from tests.ops.strategies import integers
from tests.ops.together import together

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(("padding", "mode"), [("VALID", "valid"), ("FULL", "full")])
def test_one_axis_is_numpys_convolve_and_correlate(padding, mode):
    x, kernels = integers(0, 99, 7), [integers(1, 99, window) for window in (1, 2, 3, 5)]
    for flip, expected in ((True, np.convolve), (False, np.correlate)):
        call = partial(ops.conv, padding=padding, flip_kernel=flip)
        found = together([(call, (x[:, None], kernel[:, None, None])) for kernel in kernels])
        for z, kernel in zip(found, kernels, strict=True):
            np.testing.assert_array_equal(z[:, 0], expected(x, kernel, mode))


@pytest.mark.parametrize("space", [(7,), (5, 6), (4, 3, 5)], ids=str)
@pytest.mark.parametrize(("padding", "mode"), [("VALID", "valid"), ("FULL", "full")])
def test_flipped_kernel_is_scipys_convolution(space, padding, mode):
    """In every channel pair, and the channels are not flipped."""
    window = (3, 2, 2)[: len(space)]
    x, kernel = integers(0, 99, *space, 2), integers(1, 99, *window, 2, 3)
    expected = [
        sum(scipy.signal.convolve(x[..., c], kernel[..., c, o], mode, "direct") for c in range(2))
        for o in range(3)
    ]
    (z,) = together([(partial(ops.conv, padding=padding, flip_kernel=True), (x, kernel))])
    np.testing.assert_array_equal(z, np.stack(expected, axis=-1))


def test_flip_commutes_where_cross_correlation_does_not():
    """x * k = k * x is true of convolution only."""
    a, b = integers(0, 9, 5, 1), integers(1, 9, 5, 1)
    for flip, same in ((True, True), (False, False)):
        call = partial(ops.conv, padding="FULL", flip_kernel=flip)
        one, other = together([(call, (a, b[..., None])), (call, (b, a[..., None]))])
        assert np.array_equal(one, other) is same


BANKS = {
    "conv": [(3, 2, 4)],
    "conv_transpose": [(3, 2, 4)],
    "tiled_conv": [(2, 3, 2, 4)],
    "local_conv": [(5, 3, 2, 4)],
    "low_rank_local_conv": [(2, 3, 2, 4), (5, 2)],
}


PROMOTIONS = [
    (jnp.float32, jnp.float32, jnp.float32),
    (jnp.bfloat16, jnp.bfloat16, jnp.bfloat16),
    (jnp.float16, jnp.float16, jnp.float16),
    (jnp.bfloat16, jnp.float32, jnp.float32),
    (jnp.float32, jnp.bfloat16, jnp.float32),
    (jnp.float16, jnp.bfloat16, jnp.float32),
    (jnp.uint8, jnp.float32, jnp.float32),
    (jnp.int32, jnp.bfloat16, jnp.bfloat16),
]
"""Types of x and kernel, and of the output."""


@pytest.mark.parametrize("name", BANKS)
def test_dtypes_promote_as_jax_promotes(name):
    operands = [
        (np.ones((5, 2), x_dtype), *(np.ones(shape, kernel_dtype) for shape in BANKS[name]))
        for x_dtype, kernel_dtype, _ in PROMOTIONS
    ]
    operator = getattr(ops, name)
    found = jax.jit(lambda operands: [operator(*given) for given in operands])(operands)
    # Ones: a window of 3 over two channels counts 6, and 4 where it meets the border.
    counts = np.array([4, 6, 6, 6, 4]) * (2 if name == "low_rank_local_conv" else 1)
    for z, types in zip(found, PROMOTIONS, strict=True):
        assert z.dtype == types[-1], types
        np.testing.assert_array_equal(
            np.asarray(z).astype(np.float32), np.tile(counts[:, None], 4), err_msg=str(types)
        )


def test_low_rank_promotes_all_three():
    x, kernels = np.ones((5, 2), jnp.bfloat16), np.ones((2, 3, 2, 4), jnp.bfloat16)
    z = jax.jit(ops.low_rank_local_conv)(x, kernels, np.ones((5, 2), np.float32))
    assert z.dtype == jnp.float32


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize("leading", [(), (0,), (2, 1)], ids=str)
def test_leading_axes_are_a_batch(name, leading):
    """Any number of them, one of length zero included, gives what each example gives alone."""
    x = integers(0, 9, *leading, 5, 2)
    banks = [integers(i, 9, *s) for i, s in enumerate(BANKS[name])]
    operator, places = getattr(ops, name), list(np.ndindex(*leading))
    z, *alone = together([(operator, (each, *banks)) for each in (x, *(x[i] for i in places))])
    assert z.shape == (*leading, 5, 4)
    for index, expected in zip(places, alone, strict=True):
        np.testing.assert_array_equal(z[index], expected)


@pytest.mark.parametrize("name", BANKS)
def test_precision_reaches_every_product(name):
    shapes = [(2, 5, 2), *BANKS[name]]
    structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    highest = jax.lax.Precision.HIGHEST
    for precision, expected in (
        ("highest", {highest}),
        (highest, {highest}),
        (None, {None}),
    ):
        call = partial(getattr(ops, name), precision=precision)
        found = set()
        for equation in equations(jax.make_jaxpr(call)(*structs).jaxpr):
            if equation.primitive.name in ("conv_general_dilated", "dot_general"):
                asked = equation.params["precision"]
                found |= set(asked) if isinstance(asked, tuple) else {asked}
        assert found == expected


@pytest.mark.parametrize("name", BANKS)
def test_defaults_are_same_padding_and_unit_strides(name):
    operands = [integers(0, 9, 5, 2), *(integers(i, 9, *s) for i, s in enumerate(BANKS[name]))]
    operator = getattr(ops, name)
    spelled = partial(operator, strides=(1,), padding="SAME", kernel_dilation=(1,))
    np.testing.assert_array_equal(*together([(operator, operands), (spelled, operands)]))


def test_a_window_may_be_wider_than_its_input():
    """It then goes round, or to and fro, more than once; zeros need no care."""
    x, kernel = integers(0, 9, 2), integers(1, 9, 7)
    padded = {
        "CIRCULAR": np.pad(x, 3, mode="wrap"),
        "REFLECT": np.pad(x, 3, mode="reflect"),
        "FULL": np.pad(x, 6),
        "SAME": np.pad(x, 3),
    }
    operands = x[:, None], kernel[:, None, None]
    found = together([(partial(ops.conv, padding=padding), operands) for padding in padded])
    for z, (padding, line) in zip(found, padded.items(), strict=True):
        expected = np.correlate(line, kernel, "valid")
        np.testing.assert_array_equal(z[:, 0], expected, err_msg=padding)


def test_integers_longer_than_a_tuple_of_one_and_lists_are_taken():
    operands = integers(0, 9, 6, 6, 1), integers(1, 9, 3, 3, 1, 1)
    tuples = partial(ops.conv, strides=(2, 2), padding=((1, 1), (0, 2)))
    lists = partial(ops.conv, strides=[2, 2], padding=[1, (0, 2)])
    np.testing.assert_array_equal(*together([(lists, operands), (tuples, operands)]))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("strides", "dilation", "left"),
    [((2, 2), (2, 2), (1, 1)), ((4, 3), (6, 2), (3, 2)), ((1, 2), (2, 1), (2, 1))],
)
def test_steps_that_strides_and_dilation_share_are_taken_once(strides, dilation, left):
    """Inputs that no window reads are dropped first: dilated convolutions are slow."""
    x, kernel = jnp.ones((1, 16, 16, 1)), jnp.ones((3, 3, 1, 1))
    jaxpr = jax.make_jaxpr(
        lambda x: ops.conv(x, kernel, strides=strides, kernel_dilation=dilation)
    )(x)
    (found,) = [
        equation.params["rhs_dilation"]
        for equation in jaxpr.eqns
        if equation.primitive.name == "conv_general_dilated"
    ]
    assert found == left
