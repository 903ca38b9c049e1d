"""The order of the examples: every epoch once through all of them, as a pure function."""

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cnnjax.data import batches
from cnnjax.data.batches import batch_indices, evaluation_batches

sizes = st.integers(1, 40)


@pytest.mark.fast
@given(seed=st.integers(0, 2**64 - 1), num_examples=sizes, batch_size=sizes)
def test_every_epoch_uses_every_example_once(seed, num_examples, batch_size):
    steps = -(-3 * num_examples // batch_size)
    stream = np.concatenate(
        [batch_indices(seed, step, batch_size, num_examples) for step in range(steps)]
    )
    for epoch in range(3):
        used = stream[epoch * num_examples : (epoch + 1) * num_examples]
        assert sorted(used) == list(range(num_examples))


@pytest.mark.fast
def test_is_a_pure_function_of_its_arguments():
    forwards = [batch_indices(7, step, 32, 100) for step in range(30)]
    batches._permutation.cache_clear()
    backwards = [batch_indices(7, step, 32, 100) for step in reversed(range(30))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    first = batch_indices(7, 0, 32, 100)
    first[:] = -1  # what a caller does to a batch must not reach the next one
    np.testing.assert_array_equal(batch_indices(7, 0, 32, 100), forwards[0])


def philox(key, number):
    """Philox4x64-10 of Salmon et al. (2011), counters from 1 on, in Python's own integers."""
    mask = 2**64 - 1
    words = []
    for counter in range(1, -(-number // 4) + 1):
        a, b, c, d = counter, 0, 0, 0
        low, high = key
        for _ in range(10):
            left, right = a * 0xD2E7470EE14C6C93, c * 0xCA5A826395121157
            a, b, c, d = (
                (right >> 64) ^ b ^ low,
                right & mask,
                (left >> 64) ^ d ^ high,
                left & mask,
            )
            low, high = (low + 0x9E3779B97F4A7C15) & mask, (high + 0xBB67AE8584CAA73B) & mask
        words += [a, b, c, d]
    return words[:number]


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (3, 2), (2**63 + 11, 5)])
def test_the_order_sorts_the_words_of_philox(seed, epoch):
    # A resumed run relies on these numbers: they may not change with a version of anything.
    words = philox((seed, epoch), 50)
    indices = batch_indices(seed, epoch, 50, 50)
    assert indices.dtype == np.int32
    assert indices.tolist() == sorted(range(50), key=words.__getitem__)
    assert indices.tolist() != sorted(range(50), key=philox((seed, epoch + 1), 50).__getitem__)


def test_seeds_and_epochs_have_their_own_permutation():
    orders = [
        tuple(batch_indices(seed, epoch, 100, 100)) for seed in range(20) for epoch in range(20)
    ]
    assert len(set(orders)) == 400


def test_positions_are_uniform():
    # Where example 0 lands in 4,000 permutations of 8: each place 500 times, sd 21.
    places = [batch_indices(seed, 0, 8, 8).tolist().index(0) for seed in range(4000)]
    counts = np.bincount(places, minlength=8)
    assert np.all(np.abs(counts - 500) < 5 * np.sqrt(4000 / 8 * 7 / 8))


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ((-1, 0, 4, 10), r"`seed` must be 0 to 2\*\*64 - 1, got -1"),
        ((2**64, 0, 4, 10), "got 18446744073709551616"),
        ((0, -2, 4, 10), "`step` must be at least 0, got -2"),
        ((0, 0, 0, 10), r"`batch_size` must be 1 to 2\*\*31 - 1, got 0"),
        ((0, 0, 4, 0), "`num_examples` must be 1 to .*, got 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, wrong):
    with pytest.raises(ValueError, match=wrong):
        batch_indices(*arguments)


@pytest.mark.fast
@given(num_examples=sizes, batch_size=sizes)
def test_evaluation_counts_every_example_once(num_examples, batch_size):
    counts = np.zeros(num_examples)
    number = 0
    for indices, weights in evaluation_batches(num_examples, batch_size):
        assert indices.shape == weights.shape == (batch_size,)
        assert (indices.dtype, weights.dtype) == (np.int32, np.float32)
        np.add.at(counts, indices, weights)
        number += 1
    np.testing.assert_array_equal(counts, 1)
    assert number == -(-num_examples // batch_size)


def test_evaluation_by_hand():
    got = [(i.tolist(), w.tolist()) for i, w in evaluation_batches(5, 3)]
    assert got == [([0, 1, 2], [1, 1, 1]), ([3, 4, 0], [1, 1, 0])]
    with pytest.raises(ValueError, match=r"`batch_size` must be .* got 0"):
        evaluation_batches(5, 0)
    assert len(list(itertools.chain(evaluation_batches(6, 3)))) == 2
