"""Invariance of predictions, on classifiers whose answers are known at every shift."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    accuracy_curve,
    area_under_curve,
    brightness,
    classes_over_shifts,
    one_pixel_flip_rate,
    worst_case_accuracy,
)

# Each image has one bright pixel, at column 0, 1, 2, 3.
X = jnp.eye(4).reshape(4, 1, 4, 1)


def by_column(x):
    """Class 1 if the pixel is in the right half: not invariant."""
    right = x[:, 0, 2:, 0].sum(1)
    return jnp.stack([0.5 - right, right - 0.5], 1)


def by_sum(x):
    """Class 1 if there is a pixel: invariant."""
    total = x.sum((1, 2, 3))
    return jnp.stack([0.5 - total, total - 0.5], 1)


def test_classes_at_every_shift_by_hand():
    shifts = [(0, 0), (0, 1), (0, 2)]
    found = classes_over_shifts(by_column, X, shifts)
    np.testing.assert_array_equal(found, [[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]])
    labels = jnp.array([0, 1, 1, 0])
    # No image keeps its class; at the first two shifts alone two are right at both.
    assert worst_case_accuracy(found, labels) == 0
    assert worst_case_accuracy(found[:2], labels) == 0.5
    assert worst_case_accuracy(classes_over_shifts(by_sum, X, shifts), jnp.ones(4, int)) == 1


def test_one_pixel_flips_half_of_the_columns_classes_and_no_sums():
    assert one_pixel_flip_rate(by_column, X, axis=1) == 0.5
    assert one_pixel_flip_rate(by_column, X, axis=0) == 0
    assert one_pixel_flip_rate(by_sum, X, axis=1) == 0
    with pytest.raises(ValueError, match="0 to 1, got 2"):
        one_pixel_flip_rate(by_column, X, axis=2)


def test_the_curve_of_a_threshold_is_a_step_and_its_area_known():
    """Brightness added to four pixels lifts the sum: class 1 above -1/8 for images with one."""
    amounts = jnp.array([-0.5, -0.25, 0.0, 0.25])
    curve = accuracy_curve(by_sum, brightness, amounts, X, jnp.ones(4, int))
    np.testing.assert_array_equal(curve, [0, 0, 1, 1])
    np.testing.assert_allclose(area_under_curve(amounts, curve), 0.375 / 0.75)


def test_an_area_needs_a_curve():
    with pytest.raises(ValueError, match=r"\(1,\) and \(1,\)"):
        area_under_curve(jnp.zeros(1), jnp.zeros(1))
