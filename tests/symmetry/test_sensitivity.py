"""Sensitivity in units of other images, of noise and of the output's range, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    changes_over_rotations,
    changes_over_shifts,
    equivariance_psnr,
    noise_like,
    normalised_invariance_error,
    shift,
)

X = jax.random.normal(jax.random.key(0), (64, 8, 8, 1))


def test_the_error_is_1_for_another_image_and_0_for_the_same():
    outputs = jnp.array([[0.0], [1.0], [2.0], [5.0]])
    # Pairs differ by 1, 2, 5, 1, 4, 3: mean square 56 / 6.
    moved = jnp.stack([outputs, outputs + 2, outputs[::-1]])
    error = normalised_invariance_error(moved, outputs)
    np.testing.assert_allclose(
        error, np.sqrt([0, 4 / (56 / 6), (25 + 1 + 1 + 25) / 4 / (56 / 6)]), rtol=1e-6
    )


def test_a_constant_added_to_the_output_changes_nothing_and_another_draw_is_another_image():
    outputs, others = jax.random.normal(jax.random.key(1), (2, 4000, 3))
    error = normalised_invariance_error(others[None], outputs)
    np.testing.assert_allclose(error, 1, atol=0.02)
    moved = normalised_invariance_error(100 + others[None], 100 + outputs)
    np.testing.assert_allclose(moved, error, rtol=1e-4)


def test_a_constant_function_is_invariant_and_maps_are_flattened():
    constant = jnp.broadcast_to(X[:1], (7, *X.shape[1:]))
    assert normalised_invariance_error(constant[None], constant) == 0
    assert normalised_invariance_error(constant[None] + 1, constant) == jnp.inf
    maps = X.reshape(64, -1)
    np.testing.assert_allclose(
        normalised_invariance_error(X[None, ::-1], X),
        normalised_invariance_error(maps[None, ::-1], maps),
        rtol=1e-6,
    )


@pytest.mark.parametrize("moved", [jnp.zeros((2, 3, 4)), jnp.zeros((4, 4))])
def test_shapes_that_do_not_fit_are_named(moved):
    with pytest.raises(ValueError, match=r"`moved` must be .* got shapes .* and \(4, 4\)"):
        normalised_invariance_error(moved, jnp.zeros((4, 4)))


def test_one_image_has_no_other():
    with pytest.raises(ValueError, match="at least 2 images"):
        normalised_invariance_error(jnp.zeros((3, 1, 4)), jnp.zeros((1, 4)))


def test_noise_changes_each_image_as_much_as_the_transformation_in_a_direction_of_its_own():
    moved = shift(X, (1, 0)).at[0].set(X[0])
    noisy = noise_like(jax.random.key(2), X, moved)
    change, transformed = (noisy - X).reshape(64, -1), (moved - X).reshape(64, -1)
    sizes = jnp.linalg.norm(change, axis=1), jnp.linalg.norm(transformed, axis=1)
    np.testing.assert_allclose(*sizes, rtol=1e-5)
    np.testing.assert_array_equal(noisy[0], X[0])
    alike = (change @ change.T)[1:, 1:] / jnp.outer(sizes[0][1:], sizes[0][1:])
    assert jnp.abs(alike - jnp.eye(63)).max() < 0.6
    with pytest.raises(ValueError, match=r"\(64, 8, 8, 1\), got \(8, 8, 1\)"):
        noise_like(jax.random.key(2), X, X[0])


def test_decibels_by_hand():
    """Off by 0.2 everywhere with a range of 2: 20 log10(2 / 0.2) = 20 dB."""

    def g(x):
        return shift(x, (1, 0))

    def off(x):
        return x + 0.2 * (jnp.arange(8) % 2)[None, :, None, None]

    # Alternate rows: g moves the offset by one row, so that f(g x) and g f(x) differ by 0.2.
    np.testing.assert_allclose(equivariance_psnr(off, g, g, X), 20, rtol=1e-5)
    np.testing.assert_allclose(equivariance_psnr(off, g, g, X, peak=20), 40, rtol=1e-5)
    assert equivariance_psnr(jnp.tanh, g, g, X) == jnp.inf


def test_only_valid_entries_are_compared():
    def g(x):
        return shift(x, (1, 0), 0.0)

    def blurred(x):
        return x + shift(x, (1, 0))

    valid = (jnp.arange(8) > 1)[None, :, None, None]
    assert equivariance_psnr(blurred, g, g, X, valid=valid) == jnp.inf
    assert equivariance_psnr(blurred, g, g, X) < 20
    with pytest.raises(ValueError, match="`peak` must be positive, got 0"):
        equivariance_psnr(blurred, g, g, X, peak=0)


def test_changes_over_shifts_are_those_of_each_shift_beside_noise_of_its_norm():
    """The value of one pixel, against a loop in float64; the sum, which shifts leave as it is."""

    def outputs(x, weight):
        return weight * x[:, 2, 1]

    x = np.asarray(X[:5, :, :6])
    changes = changes_over_shifts(outputs, x, 3.0, seed=1)
    assert changes["shift"].shape == changes["noise"].shape == (6,)
    pixel = x[:, 2, 1, 0].astype(np.float64)
    between = np.mean([(a - b) ** 2 for i, a in enumerate(pixel) for b in np.delete(pixel, i)])
    for right in range(6):
        there = x[:, 2, (1 - right) % 6, 0]
        expected = np.sqrt(np.mean((there - pixel) ** 2) / between)
        assert changes["shift"][right] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert changes["noise"][0] == 0
    # A pixel of noise as large as the change of all 48.
    sizes = [np.sum((np.roll(x, right, 2) - x) ** 2) / 5 / 48 for right in range(1, 6)]
    ratio = changes["noise"][1:] ** 2 / (np.array(sizes) / between)
    assert 0.3 < ratio.mean() < 2
    assert len(set(changes["noise"].tolist())) == 6

    def total(x, weight):
        return weight * x.sum((1, 2))

    changes = changes_over_shifts(total, x, 3.0)
    assert changes["shift"].max() < 1e-5
    assert changes["noise"][1:].min() > 0.1


def test_a_function_that_tells_no_two_images_apart_has_no_finite_change():
    """It answers to noise alone: every image has a 0 at the first pixel."""
    x = np.asarray(X[:3, :, :6]).copy()
    x[:, 0, 0] = 0
    changes = changes_over_shifts(lambda x: x[:, 0, 0], x, seed=1)
    assert changes["noise"][0] == 0
    assert np.isinf(changes["noise"][1:]).all()


def test_changes_over_rotations_are_those_of_each_rotation_and_of_noise():
    x = X[:5]

    def f(images, scale):
        return scale * images[:, :2, :3].reshape(len(images), -1)

    found = changes_over_rotations(f, x, 2.0, seed=3)
    plain = np.asarray(f(x, 2.0), np.float64)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    between = np.mean([((plain[i] - plain[j]) ** 2).sum() for i, j in pairs])
    for times in (1, 2, 3):
        rotated = np.rot90(np.asarray(x), times, (1, 2))
        noise = noise_like(jax.random.fold_in(jax.random.key(3), times - 1), x, rotated)
        for kind, moved in (("rotation", rotated), ("noise", noise)):
            change = ((np.asarray(f(moved, 2.0)) - plain) ** 2).sum(1).mean()
            expected = np.sqrt(change / between)
            assert found[kind][times - 1] == pytest.approx(expected, rel=1e-4)
    invariant = changes_over_rotations(lambda images: images.max((1, 2)), x)
    assert invariant["rotation"].tolist() == [0, 0, 0]
    assert invariant["noise"].min() > 0.1
    with pytest.raises(ValueError, match=r"square images, got shape \(5, 8, 7, 1\)"):
        changes_over_rotations(f, x[:, :, 1:], 1.0)
