"""Firing, variance and shares of units, against cases that are known by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    argmax_shares,
    effective_number,
    firing_invariance,
    firing_scores,
    variance_ratio,
    vector_strength,
)

TRANSFORMS, IMAGES = 10, 200
ANGLES = 2 * np.pi * np.arange(8) / 8
NOISE = np.random.default_rng(0).normal(size=(TRANSFORMS, IMAGES))


def units(*responses):
    return jnp.asarray(np.stack(responses, -1), jnp.float32)


def test_scores_of_invariant_and_of_independent_units():
    invariant = np.broadcast_to(NOISE[0], NOISE.shape)
    scores = firing_scores(units(invariant, NOISE), rate=0.1)
    # The invariant unit fires at 20 of 200 images: local 1, global 0.1.
    np.testing.assert_allclose(scores[0], 10.0, rtol=1e-5)
    # The other fires at about 20 of the images, of whose 9 copies each a tenth fire by chance: of
    # 180 copies 18 with deviation 4, and the better of two signs counts.
    assert abs(float(scores[1]) - 1.1) < 0.5


def test_a_unit_that_fires_for_a_third_of_the_copies_by_hand():
    """Three images, four transforms: the first image's response is high at the first two."""
    responses = np.zeros((4, 3))
    responses[:2, 0] = 1
    # 2 of 12 responses fire: global 1/6, local 1/3. The low ones: global 5/6, local 1.
    np.testing.assert_allclose(firing_scores(units(responses), rate=0.3), [2.0], rtol=1e-6)
    # High only where transformed: no image to begin with. The low ones: local (1/3 + 1 + 1) / 3.
    np.testing.assert_allclose(
        firing_scores(units(responses[::-1]), rate=0.3), [7 / 9 * 6 / 5], rtol=1e-6
    )


def test_low_values_may_be_what_a_unit_tells():
    invariant = np.broadcast_to(NOISE[0], NOISE.shape)
    skewed = np.exp(3 * invariant)
    scores = firing_scores(units(skewed, -skewed), rate=0.1)
    np.testing.assert_allclose(scores, 10.0, rtol=1e-5)


def test_a_rate_finer_than_the_images_still_finds_an_invariant_unit():
    """Ten equal copies of 50 images: what is highest is 2 % of everything, not 1 %."""
    few = np.broadcast_to(NOISE[0, :50], (10, 50))
    saturated = np.minimum(few, np.sort(few[0])[-5])
    scores = firing_scores(units(few, saturated, np.ones((10, 50))))
    np.testing.assert_allclose(scores, [50.0, 50.0, 1.0], rtol=1e-5)


def test_a_unit_that_does_not_vary_has_no_variance_whatever_its_value():
    constant = np.full((10, 7, 3), [0.1, 0.3, 1.7], np.float32)
    np.testing.assert_array_equal(variance_ratio(jnp.asarray(constant)), [0, 0, 0])


def test_the_best_units_count():
    invariant = np.broadcast_to(NOISE[0], NOISE.shape)
    responses = units(invariant, *[NOISE] * 4)
    np.testing.assert_allclose(firing_invariance(responses, 0.1, top=0.2), 10.0, rtol=1e-5)
    assert firing_invariance(responses, 0.1, top=1.0) < 4


def test_an_invariant_unit_may_differ_from_zero_by_squared_rounding():
    random = np.random.default_rng(0)
    image = 10 + 3 * random.normal(size=(1, 50, 20))
    rounding = 1 + 6e-8 * random.integers(-2, 3, (6, 50, 20))
    ratios = variance_ratio(jnp.asarray(image * rounding, jnp.float32))
    # Two roundings of float32 of a mean of 10 over a standard deviation of 3.
    assert 0 < ratios.max() < (2 * 1.2e-7 * 10 / 3) ** 2


def test_variance_ratios_by_hand():
    image, transform = np.arange(4.0), np.arange(3.0)[:, None]
    only_image = np.broadcast_to(image, (3, 4))
    both = image + 2 * transform
    # Variances: 4 * 2/3 by transform, 15/12 by image.
    found = variance_ratio(units(only_image, both, np.ones((3, 4)), transform + 0 * image))
    np.testing.assert_allclose(found[:3], [0, (8 / 3) / (15 / 12), 0], rtol=1e-6)
    assert np.isinf(found[3])


def test_within_a_class_the_variance_of_classes_does_not_count():
    """Classes lie 10 apart, images within them 2; a transform moves all by 0 or 2."""
    labels = jnp.array([0, 0, 1, 1, 2])
    image = np.array([0.0, 2.0, 10.0, 12.0, 40.0])
    responses = units(image + np.array([[0.0], [2.0]]))
    # Variance 1 by transform, 1 by image within the two classes that have two.
    np.testing.assert_allclose(variance_ratio(responses, labels), [1.0])
    assert variance_ratio(responses)[0] < 0.01


def test_shares_count_the_strongest_at_each_amount():
    responses = jnp.array([[[1.0, 2.0], [3.0, 0.0]], [[0.0, 5.0], [0.0, 1.0]]])
    np.testing.assert_array_equal(argmax_shares(responses), [[0.5, 0.5], [0.0, 1.0]])


def test_shares_want_amounts_images_and_detectors():
    with pytest.raises(ValueError, match=r"\[amounts, images, detectors\], got shape \(3, 2\)"):
        argmax_shares(jnp.zeros((3, 2)))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([[1.0, 0.0], [1.0, 0.0]], 1.0),
        ([[1.0, 0.0], [0.0, 1.0]], 2.0),
        # exp(-(3/4) log(3/4) - (1/4) log(1/4)) = 4 / 3^(3/4)
        ([[1.0, 0.0], [0.5, 0.5]], 4 / 3**0.75),
    ],
)
def test_the_effective_number_of_detectors_by_hand(shares, expected):
    assert float(effective_number(jnp.array(shares))) == pytest.approx(expected, rel=1e-6)


def test_a_detector_that_always_wins_has_no_direction_and_one_that_wins_once_has_all():
    always = np.ones(8)
    once = np.eye(8)[2]
    # Wins in half the circle, 0 to 135 degrees: |1 + e^{i pi/4} + i + e^{3 i pi/4}| / 4.
    half = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])
    never = np.zeros(8)
    shares = jnp.asarray(np.stack([always, once, half, never], 1), jnp.float32)
    expected = [0.0, 1.0, np.hypot(1, 1 + np.sqrt(2)) / 4, 0.0]
    np.testing.assert_allclose(vector_strength(shares, ANGLES), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: firing_scores(r[0]), r"got shape \(5, 2\)"),
        (lambda r: firing_scores(r, 1.0), "got 1.0"),
        (lambda r: firing_scores(r[:1]), "2 transforms or more"),
        (lambda r: firing_invariance(r, top=0.0), "got 0.0"),
        (lambda r: variance_ratio(r[0]), r"got shape \(5, 2\)"),
        (lambda r: variance_ratio(r, jnp.arange(4)), "got 4"),
        (lambda r: variance_ratio(r, jnp.arange(5)), "name one class twice"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.zeros((3, 5, 2)))
