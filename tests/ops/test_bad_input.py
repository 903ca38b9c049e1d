"""Every wrong input is refused with one sentence of ours that prints the wrong value."""

import traceback
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from cnnjax import ops
from cnnjax.ops import geometry

pytestmark = pytest.mark.fast

IMAGE, KERNEL = (2, 6, 6, 4), (3, 3, 4, 6)

# (operator, operand shapes, options, what the sentence must show: each entry, in any of its forms)
CONV = [
    # ranks
    ((5,), KERNEL, {}, [("1-D", "(5,)", "1 ")]),
    ((6, 4), KERNEL, {}, [("(6, 4)", "2-D")]),
    (IMAGE, (4, 6), {}, [("(4, 6)", "2-D")]),
    (IMAGE, (6,), {}, [("(6,)", "1-D")]),
    ((2, 3, 3, 3, 3, 4), (3, 3, 3, 3, 4, 6), {}, [("(3, 3, 3, 3, 4, 6)", "4 ", "6-D")]),
    # channels and groups
    ((2, 6, 6, 3), KERNEL, {}, [("3 ", "(2, 6, 6, 3)"), ("4", "(3, 3, 4, 6)")]),
    ((2, 6, 6, 3), (3, 3, 1, 6), {"feature_group_count": 2}, [("2",), ("3",)]),
    (IMAGE, (3, 3, 2, 5), {"feature_group_count": 2}, [("2",), ("5",)]),
    (IMAGE, KERNEL, {"feature_group_count": 2}, [("2",), ("4",)]),
    (IMAGE, KERNEL, {"feature_group_count": 0}, [("0",)]),
    (IMAGE, KERNEL, {"feature_group_count": -3}, [("-3",)]),
    # strides and dilations
    (IMAGE, KERNEL, {"strides": 0}, [("0",)]),
    (IMAGE, KERNEL, {"strides": (1, -2)}, [("-2",)]),
    (IMAGE, KERNEL, {"strides": (1, 1, 7)}, [("(1, 1, 7)",)]),
    (IMAGE, KERNEL, {"strides": (7,)}, [("(7,)",)]),
    (IMAGE, KERNEL, {"kernel_dilation": 0}, [("0",)]),
    (IMAGE, KERNEL, {"kernel_dilation": (2, -5)}, [("-5",)]),
    (IMAGE, KERNEL, {"kernel_dilation": (1, 2, 3)}, [("(1, 2, 3)",)]),
    (IMAGE, KERNEL, {"input_dilation": (0, 1)}, [("0",)]),
    (IMAGE, KERNEL, {"input_dilation": -4}, [("-4",)]),
    (IMAGE, KERNEL, {"input_dilation": (1, 2, 3)}, [("(1, 2, 3)",)]),
    # padding
    (IMAGE, KERNEL, {"padding": "REPLICATE"}, [("REPLICATE",), ("SAME",), ("CIRCULAR",)]),
    (IMAGE, KERNEL, {"padding": -1}, [("-1",)]),
    (IMAGE, KERNEL, {"padding": (1, -2)}, [("-2",)]),
    (IMAGE, KERNEL, {"padding": ((0, 1), (0, -3))}, [("-3",)]),
    (IMAGE, KERNEL, {"padding": ((1, 2),)}, [("(1, 2)",)]),
    (IMAGE, KERNEL, {"padding": (1, 1, 1)}, [("(1, 1, 1)",)]),
    (IMAGE, KERNEL, {"padding": ((1, 2, 3), (1, 1))}, [("(1, 2, 3)",)]),
    # windows that do not fit
    ((2, 4, 4, 4), (5, 3, 4, 6), {"padding": "VALID"}, [("5",), ("4",)]),
    (IMAGE, KERNEL, {"padding": "VALID", "kernel_dilation": (1, 3)}, [("7",), ("6",)]),
    ((2, 1, 1, 4), KERNEL, {"padding": ((1, 1), (0, 1))}, [("3",), ("2",)]),
    ((2, 0, 6, 4), KERNEL, {"padding": "VALID"}, [("0", "(2, 0, 6, 4)")]),
]
BANKED = [
    # tiled: rank, channels, groups, empty tile, strides, padding
    ("tiled_conv", [IMAGE, (2, 3, 3, 4, 6)], {}, [("(2, 3, 3, 4, 6)", "5-D")]),
    ("tiled_conv", [IMAGE, (3, 3, 2, 4)], {}, [("(3, 3, 2, 4)", "(2, 6, 6, 4)", "4", "2")]),
    ("tiled_conv", [(6, 4), (2, 2, *KERNEL)], {}, [("(6, 4)",)]),
    ("tiled_conv", [(2, 6, 6, 3), (2, 2, *KERNEL)], {}, [("3",), ("4",)]),
    ("tiled_conv", [IMAGE, (0, 2, *KERNEL)], {}, [("0",)]),
    ("tiled_conv", [IMAGE, (2, 2, 3, 3, 2, 5)], {"feature_group_count": 2}, [("5",), ("2",)]),
    ("tiled_conv", [IMAGE, (2, 2, *KERNEL)], {"strides": (0, 1)}, [("0",)]),
    ("tiled_conv", [IMAGE, (2, 2, *KERNEL)], {"padding": "WRAP"}, [("WRAP",)]),
    ("tiled_conv", [(2, 2, 2, 4), (2, 2, *KERNEL)], {"padding": "VALID"}, [("3",), ("2",)]),
    # local: a bank for another output, rank, channels, groups
    ("local_conv", [IMAGE, (4, 4, *KERNEL)], {}, [("(4, 4",), ("(6, 6",)]),
    ("local_conv", [IMAGE, (6, 6, *KERNEL)], {"padding": "VALID"}, [("(6, 6",), ("(4, 4",)]),
    ("local_conv", [IMAGE, (6, 6, *KERNEL)], {"strides": 2}, [("(6, 6",), ("(3, 3",)]),
    ("local_conv", [IMAGE, (6, 3, *KERNEL)], {}, [("(6, 3",), ("(6, 6",)]),
    ("local_conv", [IMAGE, (6, *KERNEL)], {}, [("(6, 3, 3, 4, 6)", "5-D")]),
    ("local_conv", [(2, 6, 6, 5), (6, 6, *KERNEL)], {}, [("5",), ("4",)]),
    ("local_conv", [IMAGE, (6, 6, *KERNEL)], {"feature_group_count": 4}, [("4",)]),
    ("local_conv", [IMAGE, (6, 6, *KERNEL)], {"padding": (-2, 0)}, [("-2",)]),
    # low rank: weights for another output or rank, ranks of the arrays
    ("low_rank_local_conv", [IMAGE, (2, *KERNEL), (4, 6, 2)], {}, [("(4, 6",), ("(6, 6",)]),
    ("low_rank_local_conv", [IMAGE, (2, *KERNEL), (6, 6, 3)], {}, [("2",), ("3",)]),
    ("low_rank_local_conv", [IMAGE, (2, *KERNEL), (6, 2)], {}, [("(6, 2)", "2-D")]),
    ("low_rank_local_conv", [IMAGE, (4, 6), (6, 6, 2)], {}, [("(4, 6)", "2-D")]),
    ("low_rank_local_conv", [(2, 6, 6, 3), (2, *KERNEL), (6, 6, 2)], {}, [("3",), ("4",)]),
    ("low_rank_local_conv", [IMAGE, (2, *KERNEL), (6, 6, 2)], {"strides": 0}, [("0",)]),
    # transposed
    ("conv_transpose", [(2, 6, 6, 3), KERNEL], {}, [("3",), ("4",)]),
    ("conv_transpose", [IMAGE, KERNEL], {"transpose_kernel": True}, [("4",), ("6",)]),
    ("conv_transpose", [IMAGE, (4, 6)], {}, [("(4, 6)", "2-D")]),
    ("conv_transpose", [(4,), KERNEL], {}, [("(4,)", "1-D")]),
    ("conv_transpose", [IMAGE, KERNEL], {"strides": (2, 0)}, [("0",)]),
    ("conv_transpose", [IMAGE, KERNEL], {"strides": (2, 2, 9)}, [("(2, 2, 9)",)]),
    ("conv_transpose", [IMAGE, KERNEL], {"kernel_dilation": -1}, [("-1",)]),
    ("conv_transpose", [IMAGE, KERNEL], {"padding": "SMAE"}, [("SMAE",)]),
    ("conv_transpose", [IMAGE, KERNEL], {"padding": -1}, [("-1",)]),
]
ROWS = [("conv", [x, kernel], options, shown) for x, kernel, options, shown in CONV] + BANKED


def assert_refused(call, shown):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    for forms in shown:
        assert any(form in message for form in forms), message
    assert "\n" not in message
    assert len(message) < 300
    raised_in = traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert "cnnjax" in raised_in.replace("\\", "/").split("/"), raised_in


@pytest.mark.parametrize(("name", "shapes", "options", "shown"), ROWS, ids=str)
def test_refused_eagerly_and_at_trace_time(name, shapes, options, shown):
    operator = partial(getattr(ops, name), **options)
    structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    assert_refused(lambda: jax.eval_shape(operator, *structs), shown)
    assert_refused(lambda: operator(*[jnp.zeros(shape) for shape in shapes]), shown)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("conv", [IMAGE, KERNEL]),
        ("tiled_conv", [IMAGE, (2, 2, *KERNEL)]),
        ("local_conv", [IMAGE, (6, 6, *KERNEL)]),
        ("low_rank_local_conv", [IMAGE, (2, *KERNEL), (6, 6, 2)]),
        ("conv_transpose", [IMAGE, KERNEL]),
    ],
)
def test_the_right_input_beside_them_is_taken(name, shapes):
    structs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    assert jax.eval_shape(getattr(ops, name), *structs).shape == (2, 6, 6, 6)


@pytest.mark.parametrize(
    ("name", "arguments", "options", "shown"),
    [
        ("output_size", [3, 5], {}, [("3",), ("5",)]),
        ("output_size", [5, 3], {"kernel_dilation": 3}, [("5",), ("7",)]),
        ("output_size", [5, 3, 0], {}, [("0",)]),
        ("output_size", [5, 3, -2], {}, [("-2",)]),
        ("output_size", [5, 0], {}, [("0",)]),
        ("output_size", [0, 3], {}, [("0",)]),
        ("output_size", [5, 3], {"kernel_dilation": 0}, [("0",)]),
        ("output_size", [5, 3], {"input_dilation": -1}, [("-1",)]),
        ("output_size", [5, 3], {"padding": "MIRROR"}, [("MIRROR",)]),
        ("output_size", [5, 3], {"padding": -1}, [("-1",)]),
        ("output_size", [5, 3], {"padding": (0, -4)}, [("-4",)]),
        ("weight_count", [(3, 3), 4, 6], {"feature_group_count": 3}, [("3",), ("4",)]),
        ("weight_count", [(3, 3), 4, 6], {"feature_group_count": 4}, [("4",), ("6",)]),
        ("multiply_adds", [(5,), (3,), 4, 6], {"feature_group_count": 3}, [("3",)]),
        ("receptive_field", [[(3, 0, 1)]], {}, [("0",)]),
        ("predicted_step", [24, 0], {}, [("0",)]),
        ("predicted_step", [24, 1, -2], {}, [("-2",)]),
    ],
    ids=str,
)
def test_geometry_refuses(name, arguments, options, shown):
    assert_refused(partial(getattr(geometry, name), *arguments, **options), shown)
