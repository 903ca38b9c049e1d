"""Where two members of the family are one: exact on integers, beside a case that differs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from tests.ops.strategies import integers

OPTIONS = [
    {"padding": "SAME"},
    {"padding": "CIRCULAR", "strides": 2},
    {"padding": "VALID", "kernel_dilation": 2},
    {"padding": "REFLECT", "feature_group_count": 2},
    {"padding": "FULL", "strides": (2, 1), "input_dilation": (1, 2)},
    {"padding": ((0, 2), (1, 0)), "strides": (1, 2)},
]


def apply(operator, *operands, **options):
    """One compilation, which is quicker than one for every operation inside."""
    return jax.jit(partial(operator, **options))(*operands)


options = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: str(o["padding"]))


def draw(options, *bank_axes, seed=1):
    """x [2, 6, 4, 4] and a bank of 3x2 kernels."""
    groups = options.get("feature_group_count", 1)
    x = jnp.asarray(integers(0, 99, 2, 6, 4, 4), jnp.float32)
    bank = integers(seed, 99, *bank_axes, 3, 2, 4 // groups, 2 * groups)
    return x, jnp.asarray(bank, jnp.float32)


def out_space(options):
    x, kernel = draw(options)
    return apply(ops.conv, x, kernel, **options).shape[1:-1]


@options
def test_tile_of_one_is_conv(options):
    x, kernel = draw(options)
    tiled = apply(ops.tiled_conv, x, kernel[None, None], **options)
    np.testing.assert_array_equal(tiled, apply(ops.conv, x, kernel, **options))


@options
def test_equal_kernels_in_a_tile_are_conv(options):
    x, kernel = draw(options)
    bank = jnp.tile(kernel, (2, 3, 1, 1, 1, 1))
    expected = apply(ops.conv, x, kernel, **options)
    np.testing.assert_array_equal(apply(ops.tiled_conv, x, bank, **options), expected)
    different = apply(ops.tiled_conv, x, bank.at[1, 0].add(1.0), **options)
    changed = np.any(different != expected, axis=(0, -1))
    rows, columns = np.ogrid[: changed.shape[0], : changed.shape[1]]
    assert not np.any(changed & ~((rows % 2 == 1) & (columns % 3 == 0)))
    assert np.any(changed)


@options
def test_tile_of_the_output_size_is_local(options):
    x, bank = draw(options, *out_space(options))
    tiled = apply(ops.tiled_conv, x, bank, **options)
    np.testing.assert_array_equal(tiled, apply(ops.local_conv, x, bank, **options))


@options
def test_tile_beyond_the_output_uses_its_first_kernels(options):
    rows, columns = out_space(options)
    x, bank = draw(options, rows + 2, columns + 1)
    tiled = apply(ops.tiled_conv, x, bank, **options)
    expected = apply(ops.local_conv, x, bank[:rows, :columns], **options)
    np.testing.assert_array_equal(tiled, expected)


@options
def test_local_with_equal_kernels_is_conv(options):
    x, kernel = draw(options)
    bank = jnp.tile(kernel, (*out_space(options), 1, 1, 1, 1))
    expected = apply(ops.conv, x, kernel, **options)
    np.testing.assert_array_equal(apply(ops.local_conv, x, bank, **options), expected)
    assert not np.array_equal(apply(ops.local_conv, x, bank.at[0, 0].add(1.0), **options), expected)


@options
def test_full_rank_low_rank_is_local(options):
    """One kernel a position, and weights that pick it."""
    space = out_space(options)
    x, bank = draw(options, *space)
    positions = np.prod(space)
    kernels = bank.reshape(positions, *bank.shape[2:])
    weights = jnp.eye(positions).reshape(*space, positions)
    expected = apply(ops.local_conv, x, bank, **options)
    low_rank = partial(ops.low_rank_local_conv, x, **options)
    np.testing.assert_array_equal(low_rank(kernels, weights), expected)
    assert not np.array_equal(low_rank(kernels, weights[::-1]), expected)


@options
def test_rank_one_with_unit_weights_is_conv(options):
    x, kernel = draw(options)
    weights = jnp.ones((*out_space(options), 1))
    z = apply(ops.low_rank_local_conv, x, kernel[None], weights, **options)
    np.testing.assert_array_equal(z, apply(ops.conv, x, kernel, **options))


@options
def test_low_rank_that_picks_by_phase_is_tiled(options):
    x, bank = draw(options, 2, 2)
    rows, columns = np.indices(out_space(options))
    phase = (rows % 2) * 2 + columns % 2
    weights = jnp.asarray(np.eye(4)[phase], jnp.float32)
    z = apply(ops.low_rank_local_conv, x, bank.reshape(4, *bank.shape[2:]), weights, **options)
    np.testing.assert_array_equal(z, apply(ops.tiled_conv, x, bank, **options))


@pytest.mark.fast
def test_dilation_is_a_kernel_with_zeros_between():
    x, kernel = draw({})
    spread = jnp.zeros((5, 4, 4, 2)).at[::2, ::3].set(kernel)
    dilated = apply(ops.conv, x, kernel, kernel_dilation=(2, 3))
    np.testing.assert_array_equal(dilated, apply(ops.conv, x, spread))
    np.testing.assert_array_equal(
        apply(ops.conv, x, kernel, kernel_dilation=1), apply(ops.conv, x, kernel)
    )
    assert not np.array_equal(dilated, apply(ops.conv, x, kernel))


@pytest.mark.fast
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_is_a_loop_over_channels(multiplier):
    x = jnp.asarray(integers(0, 99, 2, 7, 6, 3), jnp.float32)
    kernel = jnp.asarray(integers(1, 99, 3, 2, 1, 3 * multiplier), jnp.float32)
    z = apply(ops.conv, x, kernel, feature_group_count=3)
    alone = [
        apply(ops.conv, x[..., c : c + 1], kernel[..., c * multiplier : (c + 1) * multiplier])
        for c in range(3)
    ]
    np.testing.assert_array_equal(z, jnp.concatenate(alone, axis=-1))
    swapped = jnp.concatenate(alone[::-1], axis=-1)
    assert not np.array_equal(z, swapped)


@pytest.mark.fast
@pytest.mark.parametrize("name", ["conv", "tiled_conv", "local_conv", "low_rank_local_conv"])
def test_groups_are_convolutions_of_their_own_channels(name):
    x = jnp.asarray(integers(0, 99, 2, 7, 4), jnp.float32)
    shape = {"conv": (), "tiled_conv": (3,), "local_conv": (7,), "low_rank_local_conv": (2,)}[name]
    bank = jnp.asarray(integers(1, 99, *shape, 3, 2, 6), jnp.float32)
    rest = [jnp.asarray(integers(2, 3, 7, 2), jnp.float32)] if "low" in name else []
    operator = getattr(ops, name)
    grouped = operator(x, bank, *rest, feature_group_count=2)
    halves = [
        operator(x[..., :2], bank[..., :3], *rest),
        operator(x[..., 2:], bank[..., 3:], *rest),
    ]
    np.testing.assert_array_equal(grouped, jnp.concatenate(halves, axis=-1))


@pytest.mark.fast
def test_a_window_over_the_whole_input_is_a_dense_layer():
    x, kernel = integers(0, 99, 2, 3, 4, 2), integers(1, 99, 3, 4, 2, 5)
    z = apply(
        ops.conv, jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32), padding="VALID"
    )
    np.testing.assert_array_equal(z[:, 0, 0], x.reshape(2, -1) @ kernel.reshape(-1, 5))


@pytest.mark.fast
def test_one_by_one_is_a_dense_layer_at_every_pixel():
    x, kernel = integers(0, 99, 2, 3, 4, 2), integers(1, 99, 1, 1, 2, 5)
    z = apply(ops.conv, jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32))
    np.testing.assert_array_equal(z, x @ kernel[0, 0])
