"""Specialisation of detectors, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import class_shares, specialisation


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
