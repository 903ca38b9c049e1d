"""What banks of kernels say about sharing, by hand."""

import jax
import numpy as np
import pytest

from cnnjax.layers import TiledConv, tiled_to_local
from cnnjax.symmetry import (
    effective_spatial_rank,
    match_channels,
    matched_defects,
    shared_part,
    sharing_defect,
    weight_mean_over_deviation,
    weight_signal_to_noise,
)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def repeated(tile, positions):
    """A bank `[positions, positions, 3, 3, 2, 4]` that repeats every `tile` positions."""
    kernels = noise(tile, tile, 3, 3, 2, 4)
    index = np.arange(positions) % tile
    return kernels[index][:, index]


@pytest.mark.parametrize(("tile", "positions"), [(1, 4), (2, 8), (3, 8)])
def test_a_tiled_bank_has_no_defect_for_its_tile_and_its_multiples(tile, positions):
    bank = repeated(tile, positions)
    assert sharing_defect(bank, tile) == 0.0
    assert sharing_defect(bank, 2 * tile) == 0.0
    if tile > 1:
        assert sharing_defect(bank) > 0.3


def test_defects_by_hand():
    """Kernels 1, 2, 3, 5 of one tap: with tile 2 their means are 2 and 3.5."""
    bank = np.array([1.0, 2.0, 3.0, 5.0], np.float32).reshape(4, 1, 1, 1)
    shared = np.ravel(shared_part(bank, 2, axes=1))
    np.testing.assert_allclose(shared, [2, 3.5, 2, 3.5])
    np.testing.assert_allclose(sharing_defect(bank, 2, axes=1), (1 + 2.25 + 1 + 2.25) / 39)
    np.testing.assert_allclose(
        sharing_defect(bank, 1, axes=1), np.sum((np.array([1, 2, 3, 5]) - 2.75) ** 2) / 39
    )


def test_independent_kernels_lose_what_sharing_leaves_out():
    bank = noise(8, 8, 3, 3, 4, 4)
    # 64 kernels averaged to 4: a sixteenth of the variance is left.
    np.testing.assert_allclose(sharing_defect(bank, 2), 1 - 4 / 64, atol=0.01)


def test_another_tile_an_axis():
    bank = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3, 1, 1, 1, 1)
    shared = np.asarray(shared_part(bank, (1, 3)))
    np.testing.assert_allclose(shared[..., 0, 0, 0, 0], [[2.5, 3.5, 4.5]] * 2)


def test_effective_rank_counts_kernels_that_are_mixed_evenly():
    kernels = np.eye(9, dtype=np.float32)[:3].reshape(3, 3, 3, 1, 1)
    even = kernels[np.arange(36) % 3].reshape(6, 6, 3, 3, 1, 1)
    np.testing.assert_allclose(effective_spatial_rank(even), 3, rtol=1e-5)
    np.testing.assert_allclose(effective_spatial_rank(repeated(1, 6)), 1, rtol=1e-5)
    # Shares 9/10 and 1/10 of the squared singular values.
    uneven = np.diag(np.float32([3.0, 1.0])).reshape(2, 2, 1, 1)
    expected = np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    np.testing.assert_allclose(effective_spatial_rank(uneven, axes=1), expected, rtol=1e-5)


def test_signal_to_noise_by_hand():
    """Two taps over positions 1, 3 and 2, 2 + 4: means 2, 4, variances 1, 4."""
    bank = np.float32([[1.0, 2.0], [3.0, 6.0]]).reshape(2, 2, 1, 1)
    np.testing.assert_allclose(weight_signal_to_noise(bank, axes=1), (4 / 1 + 16 / 4) / 2)
    shared = repeated(1, 7)
    assert np.isinf(weight_signal_to_noise(shared))
    # A tap that is zero everywhere says nothing.
    without = shared.copy()
    without[:, :, 0, 0] = 0
    assert np.isinf(weight_signal_to_noise(without))
    np.testing.assert_allclose(
        weight_signal_to_noise(np.pad(bank, ((0, 0), (0, 1), (0, 0), (0, 0))), axes=1), 4
    )
    independent = weight_signal_to_noise(noise(10, 10, 3, 3, 8, 8))
    np.testing.assert_allclose(independent, 1 / 100, rtol=0.2)


def test_the_banks_of_layers():
    x = np.zeros((1, 8, 8, 2), np.float32)
    tiled = jax.jit(TiledConv(4, 3, tile=2).init)(jax.random.key(0), x)["params"]["kernel"]
    assert sharing_defect(tiled) > 0.5
    local = tiled_to_local({"kernel": tiled}, (8, 8))["kernel"]
    assert sharing_defect(local, 2) == 0.0
    assert sharing_defect(local) > 0.5


@pytest.mark.parametrize("tile", [0, (1, 2, 3)])
def test_a_wrong_tile_is_named(tile):
    with pytest.raises(ValueError, match="got"):
        shared_part(noise(4, 4, 1, 1, 1, 1), tile)


def shuffled(bank, seed=0):
    """The bank with its output channels in another order at each position."""
    random, kernels = np.random.default_rng(seed), np.array(bank).reshape(-1, *bank.shape[2:])
    orders = [random.permutation(bank.shape[-1]) for _ in kernels]
    moved = [kernel[..., order] for kernel, order in zip(kernels, orders, strict=True)]
    return np.stack(moved).reshape(bank.shape)


def test_channels_in_any_order_are_found_to_be_shared():
    bank = shuffled(repeated(1, 4))
    assert sharing_defect(bank) > 0.5
    assert sharing_defect(match_channels(bank)) < 1e-12


def test_channels_are_found_where_kernels_are_shared_but_for_noise():
    bank = repeated(1, 4) + 0.3 * noise(4, 4, 3, 3, 2, 4)[::-1]
    found = sharing_defect(match_channels(shuffled(bank)))
    np.testing.assert_allclose(found, sharing_defect(bank), rtol=1e-4)


def test_matching_finds_the_best_of_all_orders():
    """Two channels at three positions: the 4 essentially different orders, tried by hand."""
    bank = noise(3, 1, 2, 1, 1, 2)
    swaps = [[0, first, second] for first in (0, 1) for second in (0, 1)]
    tried = [
        np.stack([bank[p, 0, ..., ::-1] if swap[p] else bank[p, 0] for p in range(3)])[:, None]
        for swap in swaps
    ]
    best = min(float(sharing_defect(each)) for each in tried)
    np.testing.assert_allclose(sharing_defect(match_channels(bank)), best, rtol=1e-5)
    assert best < max(float(sharing_defect(each)) for each in tried) - 0.05


def test_matching_keeps_the_kernels_and_unrelated_ones_stay_apart():
    """The null: matching makes independent kernels a little alike, and no more."""
    bank = noise(4, 4, 3, 3, 2, 4)
    matched = match_channels(bank)
    flat, given = (np.asarray(each, float).reshape(16, 18, 4) for each in (matched, bank))
    for kernel, before in zip(flat, given, strict=True):
        order = [int(np.argmin(np.abs(before - channel[:, None]).sum(0))) for channel in kernel.T]
        assert sorted(order) == [0, 1, 2, 3]
    assert 0.6 < sharing_defect(matched) < sharing_defect(bank)


def test_the_two_signal_to_noise_ratios_by_hand():
    """Entries (1, 3) and (2, 2, ...): means 2, deviations 1; an entry of zeros counts nowhere."""
    bank = np.float32([[1.0, 4.0, 0.0], [3.0, -2.0, 0.0]]).reshape(2, 1, 3, 1, 1)
    # Means 2 and 1, deviations 1 and 3.
    np.testing.assert_allclose(weight_signal_to_noise(bank, 1), (4 + 1 / 9) / 2, rtol=1e-6)
    np.testing.assert_allclose(weight_mean_over_deviation(bank, 1), (2 + 1 / 3) / 2, rtol=1e-6)


def test_mean_over_deviation_of_independent_and_of_shared_kernels():
    np.testing.assert_allclose(
        weight_mean_over_deviation(noise(10, 10, 5, 5, 4, 16)),
        np.sqrt(2 / (np.pi * 100)),
        rtol=0.05,
    )
    assert weight_mean_over_deviation(repeated(1, 4)) == np.inf


def test_defects_of_a_network_are_those_of_its_banks_after_matching():
    shared, free = repeated(1, 2), noise(2, 2, 3, 3, 2, 4)
    params = {
        "one": {"kernel": np.concatenate([shared[:1], shared[:1, :, ..., ::-1]])},
        "two": {"kernel": free},
        "many": {"kernel": noise(3, 3, 1, 1, 1, 1)},
        "standard": {"kernel": noise(3, 3, 2, 4)},
        "scale": {"scale": noise(4)},
    }
    found = matched_defects(params, most=8)
    assert list(found) == ["one", "two"]
    assert found["one"] < 1e-12  # equal but for the order of channels
    assert found["two"] == pytest.approx(float(sharing_defect(match_channels(free))))
    assert found["two"] < float(sharing_defect(free))
    assert list(matched_defects(params, most=9)) == ["one", "two", "many"]
