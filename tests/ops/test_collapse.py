"""Where two members of the family are one: exact on integers, beside a case that differs."""

from functools import partial

import jax
import numpy as np
import pytest

from cnnjax import ops
from tests.ops.strategies import integers
from tests.ops.together import together

OPTIONS = [
    {"padding": "SAME"},
    {"padding": "CIRCULAR", "strides": 2},
    {"padding": "VALID", "kernel_dilation": 2},
    {"padding": "REFLECT", "feature_group_count": 2},
    {"padding": "FULL", "strides": (2, 1), "input_dilation": (1, 2)},
    {"padding": ((0, 2), (1, 0)), "strides": (1, 2)},
]


def apply(operator, *operands, **options):
    """Output of one operator, compiled."""
    return both((operator, *operands), **options)[0]


def both(*calls, **options):
    """Outputs of some operators with these options, `(operator, *operands)` each, as one
    program."""
    return together([(partial(operator, **options), operands) for operator, *operands in calls])


options = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: str(o["padding"]))


def draw(options, *bank_axes, seed=1):
    """x [2, 6, 4, 4] and a bank of 3x2 kernels."""
    groups = options.get("feature_group_count", 1)
    x = integers(0, 99, 2, 6, 4, 4)
    return x, integers(seed, 99, *bank_axes, 3, 2, 4 // groups, 2 * groups)


def out_space(options):
    x, kernel = (jax.ShapeDtypeStruct(each.shape, np.float32) for each in draw(options))
    return jax.eval_shape(partial(ops.conv, **options), x, kernel).shape[1:-1]


def changed(bank, *position):
    """The bank, with 1 added to one of its kernels."""
    bank = bank.copy()
    bank[position] += 1.0
    return bank


@options
def test_tile_of_one_is_conv(options):
    x, kernel = draw(options)
    calls = (ops.tiled_conv, x, kernel[None, None]), (ops.conv, x, kernel)
    np.testing.assert_array_equal(*both(*calls, **options))


@options
def test_equal_kernels_in_a_tile_are_conv(options):
    x, kernel = draw(options)
    bank = np.tile(kernel, (2, 3, 1, 1, 1, 1))
    expected, alike, different = both(
        (ops.conv, x, kernel),
        (ops.tiled_conv, x, bank),
        (ops.tiled_conv, x, changed(bank, 1, 0)),
        **options,
    )
    np.testing.assert_array_equal(alike, expected)
    moved = np.any(different != expected, axis=(0, -1))
    rows, columns = np.ogrid[: moved.shape[0], : moved.shape[1]]
    assert not np.any(moved & ~((rows % 2 == 1) & (columns % 3 == 0)))
    assert np.any(moved)


@options
def test_tile_of_the_output_size_is_local(options):
    x, bank = draw(options, *out_space(options))
    calls = (ops.tiled_conv, x, bank), (ops.local_conv, x, bank)
    np.testing.assert_array_equal(*both(*calls, **options))


@options
def test_tile_beyond_the_output_uses_its_first_kernels(options):
    rows, columns = out_space(options)
    x, bank = draw(options, rows + 2, columns + 1)
    calls = (ops.tiled_conv, x, bank), (ops.local_conv, x, bank[:rows, :columns])
    np.testing.assert_array_equal(*both(*calls, **options))


@options
def test_local_with_equal_kernels_is_conv(options):
    x, kernel = draw(options)
    bank = np.tile(kernel, (*out_space(options), 1, 1, 1, 1))
    expected, alike, different = both(
        (ops.conv, x, kernel),
        (ops.local_conv, x, bank),
        (ops.local_conv, x, changed(bank, 0, 0)),
        **options,
    )
    np.testing.assert_array_equal(alike, expected)
    assert not np.array_equal(different, expected)


@options
def test_full_rank_low_rank_is_local(options):
    """One kernel a position, and weights that pick it."""
    space = out_space(options)
    x, bank = draw(options, *space)
    positions = np.prod(space)
    kernels = bank.reshape(positions, *bank.shape[2:])
    weights = np.eye(positions).reshape(*space, positions)
    expected, alike, different = both(
        (ops.local_conv, x, bank),
        (ops.low_rank_local_conv, x, kernels, weights),
        (ops.low_rank_local_conv, x, kernels, weights[::-1]),
        **options,
    )
    np.testing.assert_array_equal(alike, expected)
    assert not np.array_equal(different, expected)


@options
def test_rank_one_with_unit_weights_is_conv(options):
    x, kernel = draw(options)
    weights = np.ones((*out_space(options), 1))
    calls = (ops.low_rank_local_conv, x, kernel[None], weights), (ops.conv, x, kernel)
    np.testing.assert_array_equal(*both(*calls, **options))


@options
def test_low_rank_that_picks_by_phase_is_tiled(options):
    x, bank = draw(options, 2, 2)
    rows, columns = np.indices(out_space(options))
    weights = np.eye(4)[(rows % 2) * 2 + columns % 2]
    kernels = bank.reshape(4, *bank.shape[2:])
    calls = (ops.low_rank_local_conv, x, kernels, weights), (ops.tiled_conv, x, bank)
    np.testing.assert_array_equal(*both(*calls, **options))


@pytest.mark.fast
def test_dilation_is_a_kernel_with_zeros_between():
    x, kernel = draw({})
    spread = np.zeros((5, 4, 4, 2))
    spread[::2, ::3] = kernel
    dilated, undilated, expected, plain = together(
        [
            (partial(ops.conv, kernel_dilation=(2, 3)), (x, kernel)),
            (partial(ops.conv, kernel_dilation=1), (x, kernel)),
            (ops.conv, (x, spread)),
            (ops.conv, (x, kernel)),
        ]
    )
    np.testing.assert_array_equal(dilated, expected)
    np.testing.assert_array_equal(undilated, plain)
    assert not np.array_equal(dilated, plain)


@pytest.mark.fast
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_is_a_loop_over_channels(multiplier):
    x = integers(0, 99, 2, 7, 6, 3)
    kernel = integers(1, 99, 3, 2, 1, 3 * multiplier)
    z = apply(ops.conv, x, kernel, feature_group_count=3)
    alone = both(
        *[
            (ops.conv, x[..., c : c + 1], kernel[..., c * multiplier : (c + 1) * multiplier])
            for c in range(3)
        ]
    )
    np.testing.assert_array_equal(z, np.concatenate(alone, axis=-1))
    swapped = np.concatenate(alone[::-1], axis=-1)
    assert not np.array_equal(z, swapped)


@pytest.mark.fast
@pytest.mark.parametrize("name", ["conv", "tiled_conv", "local_conv", "low_rank_local_conv"])
def test_groups_are_convolutions_of_their_own_channels(name):
    x = integers(0, 99, 2, 7, 4)
    shape = {"conv": (), "tiled_conv": (3,), "local_conv": (7,), "low_rank_local_conv": (2,)}[name]
    bank = integers(1, 99, *shape, 3, 2, 6)
    rest = [integers(2, 3, 7, 2)] if "low" in name else []
    operator = getattr(ops, name)
    grouped, *halves = together(
        [
            (partial(operator, feature_group_count=2), (x, bank, *rest)),
            (operator, (x[..., :2], bank[..., :3], *rest)),
            (operator, (x[..., 2:], bank[..., 3:], *rest)),
        ]
    )
    np.testing.assert_array_equal(grouped, np.concatenate(halves, axis=-1))


@pytest.mark.fast
def test_a_window_over_the_whole_input_is_a_dense_layer():
    x, kernel = integers(0, 99, 2, 3, 4, 2), integers(1, 99, 3, 4, 2, 5)
    z = apply(ops.conv, x, kernel, padding="VALID")
    np.testing.assert_array_equal(z[:, 0, 0], x.reshape(2, -1) @ kernel.reshape(-1, 5))


@pytest.mark.fast
def test_one_by_one_is_a_dense_layer_at_every_pixel():
    x, kernel = integers(0, 99, 2, 3, 4, 2), integers(1, 99, 1, 1, 2, 5)
    z = apply(ops.conv, x, kernel)
    np.testing.assert_array_equal(z, x @ kernel[0, 0])
