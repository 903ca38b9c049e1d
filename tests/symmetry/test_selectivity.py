"""Who wins at which angle, against cases that are known by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    argmax_shares,
    class_shares,
    effective_number,
    preferred_angle,
    specialisation,
    vector_strength,
)

ANGLES = 2 * np.pi * np.arange(8) / 8


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
    np.testing.assert_allclose(preferred_angle(shares, ANGLES)[1], np.pi / 2, atol=1e-6)
    np.testing.assert_allclose(preferred_angle(shares, ANGLES)[2], np.pi * 67.5 / 180, atol=1e-6)


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
