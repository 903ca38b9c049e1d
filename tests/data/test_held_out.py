"""Validation examples: which they are, of every class its share, and what cannot be divided."""

import numpy as np
import pytest

from cnnjax.data.batches import held_out
from cnnjax.run.config import InputError


def test_held_out_are_examples_at_even_distances_among_those_ordered_by_class():
    # Ordered by class: 1, 3, 5, 7 of class 0 and 0, 2, 4, 6 of class 1; of each its second.
    kept, held = held_out(np.array([1, 0, 1, 0, 1, 0, 1, 0]), "made", 2)
    assert held.tolist() == [4, 5]
    assert kept.tolist() == [0, 1, 2, 3, 6, 7]


@pytest.mark.parametrize("count", [1, 7, 100, 239, 600, None])
@pytest.mark.parametrize("classes", [2, 10])
def test_the_two_parts_are_disjoint_and_each_class_has_its_share(count, classes):
    shares = np.random.default_rng(classes).dirichlet(np.full(classes, 5.0))
    labels = np.random.default_rng(0).choice(classes, 1437, p=shares)
    kept, held = held_out(labels, "made", count)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(1437))
    expected = 239 if count is None else count
    assert len(held) == expected
    found = np.bincount(labels[held], minlength=classes)
    assert np.abs(found - expected * np.bincount(labels) / 1437).max() < 1
    # Nothing random: twice the same.
    np.testing.assert_array_equal(held, held_out(labels, "made", count)[1])


@pytest.mark.parametrize(
    ("examples", "held"), [(60_000, 5000), (50_000, 5000), (12_000, 2000), (1437, 239), (5, 1)]
)
def test_how_many_are_held_out_by_default(examples, held):
    assert len(held_out(np.zeros(examples, int), "made")[1]) == held


@pytest.mark.parametrize(
    ("labels", "count", "message"),
    [
        (
            [0, 0, 2, 0, 0, 0],
            None,
            "made must have at least 2 training images, .* got 1 of class 2",
        ),
        ([0, 0, 1, 1], 0, "made must be at least 1 and leave .* the 4 training images, got 0"),
        ([0, 0, 1, 1], -1, "leave every class one of the 4 training images, got -1"),
        ([0, 0, 1, 1], 4, "leave every class one of the 4 training images, got 4"),
        ([0, 0, 1, 1], 9, "leave every class one of the 4 training images, got 9"),
        ([0, 0, 0, 0, 1, 1], 5, "leave every class one of the 6 training images, got 5"),
    ],
)
def test_what_cannot_be_divided_is_one_sentence(labels, count, message):
    with pytest.raises(InputError, match=message):
        held_out(np.array(labels), "made", count)
