"""Who wins at which angle, against cases that are known by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import argmax_shares, effective_number, preferred_angle, vector_strength

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
