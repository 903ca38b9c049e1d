"""Looking between pixels, against blobs that are known everywhere and against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    brightness,
    contrast,
    fourier_shift,
    rotate,
    rotate90,
    scale,
    shear,
    shift,
    translate,
)

SIZE, CENTRE = 33, 16.0

# One program for all angles and distances.
rotated, moved_by, scaled = (
    jax.jit(transform, static_argnames="interpolation") for transform in (rotate, translate, scale)
)
sheared = jax.jit(shear, static_argnames=("axis", "interpolation"))


def blobs(points, width=2.2):
    """Gaussian bells about points (down, right) from the centre, with two channels."""
    grid = np.indices((SIZE, SIZE)) - CENTRE
    total = np.zeros((SIZE, SIZE))
    for number, (down, right) in enumerate(points, start=1):
        squares = (grid[0] - down) ** 2 + (grid[1] - right) ** 2
        total += number * np.exp(-squares / (2 * width**2))
    return np.stack([total, -total], -1).astype(np.float32)


POINTS = np.array([(3.0, 5.0), (-4.0, 1.0), (0.5, -6.0)])

# Errors of interpolation of a bell of width 2.2 pixels; bicubic is of higher order than bilinear,
# Fourier off by the tail of the bell's spectrum and at the border.
TOLERANCE = {"bilinear": 0.2, "bicubic": 0.03, "fourier": 1e-3}


@pytest.mark.fast
@pytest.mark.parametrize("interpolation", TOLERANCE)
@pytest.mark.parametrize("angle", [0.3, -1.0, 2.5, 7.0])
def test_blobs_turn_counter_clockwise(interpolation, angle):
    # On a screen with down as the first axis, counter-clockwise takes right to up.
    cos, sin = np.cos(angle), np.sin(angle)
    turned = POINTS @ np.array([[cos, -sin], [sin, cos]]).T
    actual = np.asarray(rotated(blobs(POINTS), angle, interpolation=interpolation))
    np.testing.assert_allclose(actual, blobs(turned), atol=TOLERANCE[interpolation])
    assert np.abs(actual - blobs(POINTS)).max() > 0.5


@pytest.mark.parametrize("interpolation", TOLERANCE)
@pytest.mark.parametrize("axis", [-2, -3])
def test_blobs_shear_along_one_axis(interpolation, axis):
    x = blobs([(0.0, 0.0)], 3.0)
    grid = np.indices((SIZE, SIZE)) - CENTRE
    along, across = (grid[1], grid[0]) if axis == -2 else (grid[0], grid[1])
    expected = np.exp(-((along - 0.4 * across) ** 2 + across**2) / 18)
    actual = np.asarray(sheared(x, 0.4, axis=axis, interpolation=interpolation))
    np.testing.assert_allclose(actual[..., 0], expected, atol=TOLERANCE[interpolation] / 2)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_blobs_move_and_grow(interpolation):
    tolerance = TOLERANCE[interpolation]
    moved = moved_by(blobs(POINTS), (1.3, -2.6), interpolation=interpolation)
    np.testing.assert_allclose(moved, blobs(POINTS + np.array([1.3, -2.6])), atol=tolerance)
    grown = scaled(blobs(POINTS), 1.5, interpolation=interpolation)
    np.testing.assert_allclose(grown, blobs(1.5 * POINTS, 1.5 * 2.2), atol=tolerance)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_whole_moves_are_shifts_with_a_fill(interpolation):
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype(np.float32)
    moved = moved_by(x, (2.0, -1.0), 0.5, interpolation=interpolation)
    expected = jax.jit(lambda x: shift(x, (2, -1), 0.5))(x)
    np.testing.assert_allclose(moved, expected, atol=1e-6)


@pytest.mark.parametrize("interpolation", TOLERANCE)
@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1])
def test_quarter_turns_are_exact_to_rounding(interpolation, size, turns):
    x = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)
    actual = rotated(x, turns * np.pi / 2, interpolation=interpolation)
    np.testing.assert_allclose(actual, rotate90(x, turns), atol=1e-5)


def test_fourier_rotation_loses_nothing_there_and_back_and_bilinear_does():
    x = np.random.default_rng(0).normal(size=(9, 9, 1)).astype(np.float32)
    back = {
        how: rotated(rotated(x, 0.4, interpolation=how), -0.4, interpolation=how)
        for how in ("fourier", "bilinear")
    }
    np.testing.assert_allclose(back["fourier"], x, atol=1e-5)
    assert np.abs(back["bilinear"] - x).max() > 0.3


@pytest.mark.parametrize(
    "transform",
    [
        lambda x, t: rotate(x, t, interpolation="fourier"),
        lambda x, t: rotate(x, t + np.pi / 2, interpolation="fourier"),
        lambda x, t: rotate(x, t, interpolation="bicubic"),
        lambda x, t: rotate(x, t + 0.3),
        lambda x, t: shear(x, t, interpolation="fourier"),
        lambda x, t: shear(x, t, interpolation="bicubic"),
        lambda x, t: scale(x, 1 + t, interpolation="bicubic"),
        lambda x, t: translate(x, (t, 2 * t), interpolation="bicubic"),
        lambda x, t: contrast(x, 1 + t),
        brightness,
    ],
)
def test_the_derivative_by_the_parameter_is_the_slope(transform):
    x, step = np.float64(blobs(POINTS)), 1e-6

    @jax.jit
    def measured(x, step):
        slope = (transform(x, step) - transform(x, -step)) / (2 * step)
        return slope, jax.jvp(lambda t: transform(x, t), (0.0,), (1.0,))[1]

    with jax.enable_x64(True):
        slope, derivative = jax.device_get(measured(x, step))
        assert slope.dtype == np.float64
        assert np.abs(slope).max() > 0.1
        np.testing.assert_allclose(derivative, slope, atol=1e-3 * np.abs(slope).max())


def test_fourier_shear_of_one_line_is_a_fourier_shift():
    """The line two above the centre moves left by twice the amount."""
    x = np.random.default_rng(0).normal(size=(5, 8, 1)).astype(np.float32)
    found = np.asarray(sheared(x, 0.3, interpolation="fourier"))
    np.testing.assert_allclose(found[0], jax.jit(fourier_shift)(x[0], (-0.6,)), atol=1e-6)
    np.testing.assert_allclose(found[2], x[2], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: rotate(x, 0.1, interpolation="nearest"), "got 'nearest'"),
        (lambda x: scale(x, 2.0, interpolation="fourier"), "got 'fourier'"),
        (lambda x: rotate(x[:, :3], 0.1, interpolation="fourier"), r"got shape \(1, 3, 4, 1\)"),
        (lambda x: shear(x, 0.1, axis=-1), "got -1"),
        (lambda x: translate(x[0, 0], (1, 1)), r"got shape \(4, 1\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.zeros((1, 4, 4, 1)))
