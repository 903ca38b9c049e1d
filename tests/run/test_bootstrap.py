"""Intervals over seeds and images, against what is known in closed form."""

import math

import numpy as np
import pytest

from cnnjax.run.statistics import bootstrap_interval, finite, summarize


def half_width(values, **options):
    low, high = bootstrap_interval(values, **options)
    assert low - 1e-12 <= values.mean() <= high + 1e-12
    return (high - low) / 2


def test_without_noise_the_interval_is_the_value():
    assert bootstrap_interval(np.full((5, 40), 0.25)) == (0.25, 0.25)


def test_equal_seeds_leave_the_noise_of_the_images_and_equal_images_that_of_the_seeds():
    """1.96 std / sqrt(n) of 1,000 images correct with probability 0.9; Student's of 30 seeds."""
    correct = (np.arange(1000) % 10 > 0).astype(float)
    expected = 1.96 * 0.3 / math.sqrt(1000)
    assert half_width(np.tile(correct, (5, 1))) == pytest.approx(expected, rel=0.06)
    seeds = np.random.default_rng(0).normal(size=(30, 1))
    expected = summarize(seeds[:, 0]).half_width()
    assert half_width(np.tile(seeds, (1, 100))) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("count", [3, 5])
def test_few_seeds_are_as_uncertain_as_students(count):
    """Without the expansion 0.37 and 0.63 of it, on average."""
    seeds = np.random.default_rng(0).normal(size=(20, count))
    shares = [
        half_width(np.tile(each[:, None], (1, 10))) / summarize(each).half_width() for each in seeds
    ]
    assert 0.9 < np.mean(shares) < 1.15
    # Images that differ alike for all seeds stay as they are.
    images = np.random.default_rng(1).normal(size=200)
    expected = 1.96 * images.std() / math.sqrt(200)
    assert half_width(np.tile(images, (count, 1))) == pytest.approx(expected, rel=0.06)


def test_both_noises_add_in_squares():
    random = np.random.default_rng(0)
    seeds, images = random.normal(size=(40, 1)), random.normal(size=(1, 60))
    of_seeds = summarize(seeds[:, 0]).half_width()
    expected = math.hypot(of_seeds, 1.96 * images.std() / math.sqrt(60))
    assert half_width(seeds + images) == pytest.approx(expected, rel=0.06)
    # The negative control: images alone would give much less.
    assert half_width(seeds + images) > 1.2 * half_width(np.tile(images, (40, 1)))


def test_a_paired_difference_has_no_noise_of_what_both_share():
    random = np.random.default_rng(1)
    shared = random.normal(size=(5, 50))
    assert half_width((shared + 0.1) - shared) < 1e-12
    assert half_width(shared) > 0.1


def test_confidence_and_seed():
    values = np.random.default_rng(2).normal(size=(20, 100))
    wide, narrow = (half_width(values, confidence=each) for each in (0.95, 0.68))
    assert wide / narrow == pytest.approx(1.96 / 0.994, rel=0.08)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 4)), np.full((2, 2), np.nan)])
def test_values_that_are_no_grid_are_named(values):
    with pytest.raises(ValueError, match=r"`values` must be finite, \[seeds, images\], got"):
        bootstrap_interval(values)


def test_a_confidence_is_between_0_and_1():
    with pytest.raises(ValueError, match=r"`confidence` must be between 0 and 1, got 95"):
        bootstrap_interval(np.zeros((2, 2)), confidence=95)


@pytest.mark.fast
def test_what_is_not_finite_is_missing():
    assert [finite(value) for value in (np.float32(0.5), np.nan, np.inf, -np.inf)] == [
        0.5,
        None,
        None,
        None,
    ]
