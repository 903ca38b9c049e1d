"""Ideal resampling against sums of cosines, and an activation that every translation passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.ops.alias_free import ideal_resample, polynomial_activation
from tests.ops.finite_differences import check_derivatives

resampled = jax.jit(ideal_resample, static_argnums=1)
activated = jax.jit(polynomial_activation, static_argnames="axes")


def wave(size, frequency, phase=0.0):
    return np.cos(2 * np.pi * frequency * np.arange(size) / size + phase)


def as_image(values):
    return np.float32(values).reshape(1, -1, 1)


def translated(x, distance):
    """A band-limited image moved by fractions of a pixel: its samples' Fourier sum, in float64."""
    x = np.asarray(x, np.float64)
    for axis in (1, 2):
        size = x.shape[axis]
        frequency = np.fft.fftfreq(size, 1 / size)
        phase = np.exp(-2j * np.pi * frequency * distance / size)
        phase[abs(frequency) == size / 2] = 0
        shape = [1] * x.ndim
        shape[axis] = size
        x = np.fft.ifft(np.fft.fft(x, axis=axis) * phase.reshape(shape), axis=axis).real
    return x


def band_limited(seed, *shape):
    return translated(np.random.default_rng(seed).normal(size=shape), 0.0).astype(np.float32)


def relative(actual, expected):
    return np.linalg.norm(np.subtract(actual, expected)) / np.linalg.norm(expected)


@pytest.mark.fast
def test_waves_below_both_nyquist_frequencies_stay_waves_and_others_go():
    for size, out in [(8, 16), (8, 7), (9, 6), (12, 12), (16, 5)]:
        frequencies = range(size // 2 + 1)
        waves = np.concatenate([as_image(wave(size, each, 0.3)) for each in frequencies])
        for frequency, z in zip(frequencies, resampled(waves, (out,)), strict=True):
            kept = 2 * frequency < min(size, out)
            expected = wave(out, frequency, 0.3) if kept else np.zeros(out)
            np.testing.assert_allclose(np.ravel(z), expected, atol=2e-6)


@pytest.mark.fast
def test_the_square_of_a_wave_is_what_trigonometry_says():
    size, square = 16, np.float32([0, 0, 1])
    # cos^2(a) = 1/2 + cos(2 a) / 2: of the two terms the second may lie beyond the grid.
    for frequency, kept in [(3, True), (5, False), (7, False)]:
        z = np.ravel(activated(as_image(wave(size, frequency)), square, axes=1))
        expected = 0.5 + 0.5 * wave(size, 2 * frequency) * kept
        np.testing.assert_allclose(z, expected, atol=2e-6)
    # cos^3(a) = (3 cos(a) + cos(3 a)) / 4
    cube = np.float32([0, 0, 0, 1])
    z = np.ravel(activated(as_image(wave(size, 7)), cube, axes=1))
    np.testing.assert_allclose(z, 0.75 * wave(size, 7), atol=2e-6)


@pytest.mark.parametrize(
    "coefficients", [(0.1, 0.5, 0.2), (0.1, 0.5, 0.2, -0.3), (0.0, 1, 0, 0, 1)]
)
@pytest.mark.parametrize("size", [8, 7])
def test_fractional_translations_pass_and_through_a_pointwise_polynomial_they_do_not(
    coefficients, size
):
    x = band_limited(0, 2, size, size, 3)
    coefficients = np.float32(coefficients)

    def activation(x):
        return activated(np.float32(x), coefficients)

    def pointwise(x):
        return sum(c * np.asarray(x, np.float64) ** d for d, c in enumerate(coefficients))

    for distance in (0.5, 1.0, 2.3):
        moved = translated(x, distance)
        assert relative(activation(moved), translated(activation(x), distance)) <= 1e-5
    assert relative(pointwise(translated(x, 0.5)), translated(pointwise(x), 0.5)) > 0.02


@pytest.mark.fast
def test_each_channel_may_have_its_own_polynomial():
    x = band_limited(0, 1, 6, 6, 2)
    rows = np.float32([[1.0, 0.0], [2.0, 3.0]])
    z = np.asarray(activated(x, rows))
    np.testing.assert_allclose(z[..., 0], 1 + 2 * x[..., 0], atol=1e-5)
    np.testing.assert_allclose(z[..., 1], 3 * x[..., 1], atol=1e-5)


@pytest.mark.fast
def test_derivatives_and_types():
    rows = np.random.default_rng(1).normal(size=(3, 2))
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(1, 4, 5, 2))
        check_derivatives(polynomial_activation, x, rows)
        assert jax.eval_shape(polynomial_activation, x, rows).dtype == jnp.float64
    half = np.ones((1, 4, 4, 2), jnp.bfloat16)
    assert jax.eval_shape(polynomial_activation, half, np.float32([0, 1])).dtype == jnp.bfloat16


@pytest.mark.fast
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: polynomial_activation(x, jnp.ones((3, 4))),
            r"1, 2\], got .*\(3, 4\)",
        ),
        (lambda x: polynomial_activation(x, jnp.ones(3), axes=4), "got 4"),
        (lambda x: ideal_resample(x, 0), "out_space must be at least 1, got 0"),
        (lambda x: ideal_resample(x[0, 0], 4), r"got shape \(6, 2\)"),
    ],
)
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(jnp.ones((1, 6, 6, 2)))
    assert "\n" not in str(error.value)
