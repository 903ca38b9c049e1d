"""Specialisation of detectors, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import class_shares, shuffled_specialisation, specialisation


def test_shares_of_a_class_are_of_its_detectors_on_its_images():
    labels = np.array([2, 0, 2])
    responses = np.zeros((1, 3, 3, 2), np.float32)
    responses[:, :, 2] = [
        [[0, 1], [1, 0], [1, 0]]
    ]  # of image 1, which is of class 0, nothing counts
    responses[:, 1, 0] = [0, 1]
    found = class_shares(jnp.asarray(responses), labels)
    assert list(found) == [0, 2]
    np.testing.assert_array_equal(found[0], [[0, 1]])
    np.testing.assert_array_equal(found[2], [[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"of 2 images, got shape \(1, 3, 3, 2\)"):
        class_shares(responses, labels[:2])


def test_specialisation_is_weighted_by_shares_and_the_mean_of_groups():
    angles = 2 * np.pi * np.arange(4) / 4
    one = jnp.ones((4, 1))
    opposite = jnp.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    # Three quarters of |1 + i - 1| / 3, and a quarter of 1, at doubled angles too.
    uneven = jnp.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    entropy = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert specialisation([one], angles) == (1, 0, 0)
    assert specialisation([opposite], angles) == pytest.approx((2, 0, 1))
    assert specialisation([uneven], angles) == pytest.approx((np.exp(entropy), 0.5, 0.5))
    assert specialisation([one, opposite, uneven], angles) == pytest.approx(
        ((1 + 2 + np.exp(entropy)) / 3, 0.5 / 3, 1.5 / 3), abs=1e-6
    )


def responses_of(largest, classes=1, kinds=2):
    """Responses `[angles, images, classes, kinds]` of images whose largest are at these indices."""
    rows = np.eye(kinds)[np.asarray(largest).T]
    return np.repeat(rows[:, :, None], classes, 2)


def test_chance_of_two_images_by_hand():
    """Detector 1 at one angle of four, detector 0 at the others: two images agree by chance."""
    angles = 2 * np.pi * np.arange(4) / 4
    detectors = responses_of([[1, 0, 0, 0], [0, 0, 1, 0]])
    found = shuffled_specialisation(detectors, np.zeros(2, int), angles, draws=20000)
    # Of detector 1 |1 + e^ia| / 2 is 1, sqrt(1/2), 0, sqrt(1/2) at differences a of 0 to 270
    # degrees; the coefficient of detector 0 is minus that of detector 1. Each counts a quarter.
    assert found.direction == pytest.approx(2 / 4 * (1 + np.sqrt(2)) / 4, abs=3e-3)
    # At doubled angles two images agree half of the time, and cancel in the other half.
    assert found.axis == pytest.approx(2 / 4 * 1 / 2, abs=3e-3)
    # Opposite angles, as they are: they cancel, and agree at doubled angles.
    shares = class_shares(jnp.asarray(detectors), np.zeros(2, int))
    as_they_are = specialisation(list(shares.values()), angles)
    assert (as_they_are.direction, as_they_are.axis) == pytest.approx((0, 0.5), abs=1e-6)
    assert found.effective_number == pytest.approx(as_they_are.effective_number)


def test_chance_of_one_image_a_class_is_its_specialisation():
    """A rotation of all angles changes nothing; classes count the same, whatever their images."""
    angles = 2 * np.pi * np.arange(8) / 8
    random = np.random.default_rng(0)
    labels = np.array([1, 0])
    detectors = random.normal(size=(8, 2, 2, 3))
    shares = class_shares(jnp.asarray(detectors), labels)
    expected = specialisation(list(shares.values()), angles)
    found = shuffled_specialisation(detectors, labels, angles, draws=3)
    assert found == pytest.approx(expected, abs=1e-5)


def test_chance_of_many_images_falls_as_the_square_root_of_their_number():
    angles = 2 * np.pi * np.arange(4) / 4
    largest = [[1, 0, 0, 0]] * 400
    labels = np.zeros(400, int)
    found = shuffled_specialisation(responses_of(largest), labels, angles, draws=4000)
    # Mean length of a sum of 400 random unit vectors: sqrt(pi 400) / 2 (Rayleigh); at doubled
    # angles of 400 random signs: sqrt(2 400 / pi).
    assert found.direction == pytest.approx(2 / 4 * np.sqrt(np.pi / 400) / 2, rel=0.03)
    assert found.axis == pytest.approx(2 / 4 * np.sqrt(2 / np.pi / 400), rel=0.03)
