"""Errors by border mode and deviation, on functions whose errors are known by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.symmetry import (
    INDEPENDENT,
    circular_errors,
    cyclic,
    equivariance_deviation,
    equivariance_errors,
    interior_errors,
    zero_fill_errors,
)

SHIFTS = [(1, 0), (0, -2), (3, 1)]
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 16, 16, 2)), jnp.float32)
KERNEL = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3, 2, 3)), jnp.float32)


def convolve(padding):
    return lambda x: ops.conv(x, KERNEL, padding=padding)


def test_a_circular_convolution_is_exact_under_circular_shifts_and_a_padded_one_is_not():
    assert circular_errors(convolve("CIRCULAR"), X, SHIFTS).max < 1e-5
    padded = circular_errors(convolve("SAME"), X, SHIFTS)
    assert padded.mean > 0.05
    np.testing.assert_allclose(padded.mean, np.mean(padded.each), rtol=1e-6)
    np.testing.assert_allclose(padded.max, np.max(padded.each))


def test_zero_padding_errs_at_the_border_alone():
    whole = zero_fill_errors(convolve("SAME"), X, SHIFTS)
    assert whole.max > 0.05
    # A window of three reaches one position.
    assert interior_errors(convolve("SAME"), X, SHIFTS, margin=1).max < 1e-5
    assert interior_errors(convolve("SAME"), X, SHIFTS, margin=0).max > 0.01


def test_a_local_map_errs_everywhere():
    """Multiplying by noise, another at each position: errors of independent values, sqrt(2)."""
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(16, 16, 2)), jnp.float32)
    local = lambda x: x * weights[None]
    for errors in (circular_errors(local, X, SHIFTS), interior_errors(local, X, SHIFTS, 2)):
        # Two independent weights of variance 1: E (a - b)^2 / E a^2 = 2.
        np.testing.assert_allclose(errors.each, INDEPENDENT, rtol=0.1)


def test_errors_over_a_group_by_hand():
    """f takes the left half: a half turn swaps the halves, so nothing of the norm is left."""
    x = jnp.ones((1, 4, 4, 1))
    left = lambda x: x.at[:, :, 2:].set(0)
    group = cyclic(4)
    errors = equivariance_errors(left, group.actions(), group.actions(), x)
    # Left half against: itself, the bottom half (overlap a quarter), the right, the top.
    np.testing.assert_allclose(errors.each, [0, 1, np.sqrt(2), 1], atol=1e-6)


def test_deviation_of_vectors_by_hand():
    """f(x) = x, and an action that turns vectors by 90 degrees while the output stays."""
    x = jnp.array([[3.0, 4.0], [0.0, 1.0]])
    turn = lambda v: jnp.stack([-v[:, 1], v[:, 0]], 1)
    same = lambda v: v
    f = lambda v: 2 * v
    # ||2 R x - 2 x|| = 2 sqrt(2) ||x||, lengths 5 and 1; at right angles the cosine is 0.
    deviation = equivariance_deviation(f, [turn], [same], x)
    np.testing.assert_allclose(deviation, 2 * np.sqrt(2) * 3, rtol=1e-6)
    np.testing.assert_allclose(equivariance_deviation(f, [turn], [same], x, "cosine"), 1, rtol=1e-6)
    for distance in ("l2", "cosine"):
        assert equivariance_deviation(f, [turn, same], [turn, same], x, distance) < 1e-6


def test_outputs_that_are_zero_are_like_zeros_and_unlike_all_else():
    x = jnp.array([[0.0, 0.0], [0.0, 1.0]])
    same, zero = lambda v: v, lambda v: 0 * v
    assert equivariance_deviation(same, [same], [same], x, "cosine") == 0
    np.testing.assert_allclose(equivariance_deviation(same, [same], [zero], x, "cosine"), 1 / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interior_errors(convolve("SAME"), X, [(15, 0)], 1), "shift of 15, got 1"),
        (lambda: interior_errors(convolve("SAME"), X, [(1, 0)], -1), "got -1"),
        (lambda: zero_fill_errors(convolve("VALID"), X, SHIFTS), r"got \(14, 14\)"),
        (lambda: equivariance_errors(convolve("SAME"), [], [], X), "got 0 and 0"),
        (lambda: equivariance_deviation(convolve("SAME"), [], [], X, "l1"), "got 'l1'"),
        (lambda: equivariance_deviation(convolve("SAME"), [], [], X), "got 0 and 0"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
