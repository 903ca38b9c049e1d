"""Errors over groups and at the border, on functions whose errors are known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.symmetry import (
    INDEPENDENT,
    border_errors,
    cyclic,
    equivariance_errors,
    errors_over_shifts,
)

SHIFTS = [(1, 0), (0, -2), (3, 1)]
X = np.random.default_rng(0).normal(size=(4, 12, 12, 2)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 2, 3)).astype(np.float32)


def convolve(padding):
    return jax.jit(lambda x: ops.conv(x, KERNEL, padding=padding))


def circular_errors(f, x=X):
    """Entries of the errors over all circular shifts, of which negative ones count from the end."""
    return errors_over_shifts(f, x)[tuple(np.transpose(SHIFTS))]


def test_a_circular_convolution_is_exact_under_circular_shifts_and_a_padded_one_is_not():
    assert circular_errors(convolve("CIRCULAR")).max() < 1e-5
    assert circular_errors(convolve("SAME")).mean() > 0.05


def test_zero_padding_errs_at_the_border_alone():
    padded = convolve("SAME")
    assert border_errors(padded, X, SHIFTS).max() > 0.05
    # A window of three reaches one position.
    assert border_errors(padded, X, SHIFTS, margin=1).max() < 1e-5
    assert border_errors(padded, X, SHIFTS, margin=0).max() > 0.01


def test_the_border_of_a_sum_over_neighbours_by_hand():
    """Ones on a line of 4, each added to its left neighbour: 1, 2, 2, 2."""
    pairs = lambda x: x + jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    line = jnp.ones((1, 4, 1))
    # To the left, 1, 2, 2, 1 against 2, 2, 2, 0; f(x) has norm sqrt(13).
    found = border_errors(pairs, line, [(-1,), (1,)])
    np.testing.assert_allclose(found, [np.sqrt(2 / 13), 0], rtol=1e-6)
    # The first three positions alone, whose norm is that of 2, 2, 2.
    found = border_errors(pairs, line, [(-1,)], margin=0)
    np.testing.assert_allclose(found, [1 / np.sqrt(12)], rtol=1e-6)


def test_a_local_map_errs_everywhere():
    """Multiplying by noise, another at each position: errors of independent values, sqrt(2)."""
    x = np.random.default_rng(0).normal(size=(4, 12, 12, 8)).astype(np.float32)
    weights = np.random.default_rng(2).normal(size=(12, 12, 8)).astype(np.float32)
    local = lambda x: x * weights[None]
    for errors in (circular_errors(local, x), border_errors(local, x, SHIFTS, 2)):
        # Two independent weights of variance 1: E (a - b)^2 / E a^2 = 2.
        np.testing.assert_allclose(errors, INDEPENDENT, rtol=0.1)


def test_errors_over_a_group_by_hand():
    """f takes the left half: a half turn swaps the halves, so nothing of the norm is left."""
    x = jnp.ones((1, 4, 4, 1))
    left = lambda x: x.at[:, :, 2:].set(0)
    group = cyclic(4)
    errors = equivariance_errors(left, group.actions(), group.actions(), x)
    # Left half against: itself, the bottom half (overlap a quarter), the right, the top.
    np.testing.assert_allclose(errors, [0, 1, np.sqrt(2), 1], atol=1e-6)


def test_deviation_of_vectors_by_hand():
    """f(x) = x, and an action that turns vectors by 90 degrees while the output stays."""
    x = jnp.array([[3.0, 4.0], [0.0, 1.0]])
    turn = lambda v: jnp.stack([-v[:, 1], v[:, 0]], 1)
    same = lambda v: v
    f = lambda v: 2 * v
    # ||2 R x - 2 x|| = 2 sqrt(2) ||x||, lengths 5 and 1; at right angles the cosine is 0.
    deviation = equivariance_errors(f, [turn], [same], x, "l2")
    np.testing.assert_allclose(deviation, [2 * np.sqrt(2) * 3], rtol=1e-6)
    np.testing.assert_allclose(equivariance_errors(f, [turn], [same], x, "cosine"), [1], rtol=1e-6)
    for distance in ("relative", "l2", "cosine"):
        assert equivariance_errors(f, [turn, same], [turn, same], x, distance).max() < 1e-6


def test_outputs_that_are_zero_are_like_zeros_and_unlike_all_else():
    x = jnp.array([[0.0, 0.0], [0.0, 1.0]])
    same, zero = lambda v: v, lambda v: 0 * v
    found = equivariance_errors(same, [same, same], [same, zero], x, "cosine")
    np.testing.assert_allclose(found, [0, 1 / 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: border_errors(convolve("SAME"), X, [(11, 0)], 1), "shift of 11, got 1"),
        (lambda: border_errors(convolve("SAME"), X, [(1, 0)], -1), "got -1"),
        (lambda: border_errors(convolve("VALID"), X, SHIFTS), r"got \(10, 10\)"),
        (lambda: equivariance_errors(convolve("SAME"), [], [], X), "got 0 and 0"),
        (lambda: equivariance_errors(convolve("SAME"), [], [], X, "l1"), "got 'l1'"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
