"""Blurred downsampling: worked numbers, the shifts it commutes with, and those it only improves."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.ops.blur_pooling import binomial_filter, blur_pool, max_blur_pool
from cnnjax.ops.pool import max_pool
from tests.ops.finite_differences import check_derivatives


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def looped(x, taps, stride, mode):
    """Every output as its sum over the window, in float64."""
    size = len(taps)
    low = (size - 1) // 2
    pairs = [(0, 0), (low, size - 1 - low), (low, size - 1 - low), (0, 0)]
    padded = np.pad(np.float64(x), pairs, mode=mode)
    rows = range(0, padded.shape[1] - size + 1, stride)
    columns = range(0, padded.shape[2] - size + 1, stride)
    z = np.zeros((len(x), len(rows), len(columns), x.shape[3]))
    for (i, row), (j, column) in itertools.product(enumerate(rows), enumerate(columns)):
        for a, b in np.ndindex(size, size):
            z[:, i, j] += taps[a] * taps[b] * padded[:, row + a, column + b]
    return z


@pytest.mark.fast
def test_filters_are_rows_of_pascals_triangle():
    rows = {
        2: [1, 1],
        3: [1, 2, 1],
        4: [1, 3, 3, 1],
        5: [1, 4, 6, 4, 1],
        6: [1, 5, 10, 10, 5, 1],
        7: [1, 6, 15, 20, 15, 6, 1],
    }
    for size, row in rows.items():
        np.testing.assert_array_equal(binomial_filter(size), np.array(row) / sum(row))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("padding", "mode"), [("REFLECT", "reflect"), ("CIRCULAR", "wrap"), ([(1, 1), 1], "constant")]
)
def test_values_are_the_sum_in_loops(padding, mode):
    x = normal(0, 2, 6, 8, 3)
    z = jax.jit(lambda x: blur_pool(x, padding=padding))(x)
    np.testing.assert_allclose(z, looped(x, [0.25, 0.5, 0.25], 2, mode), atol=1e-6)


@pytest.mark.parametrize("size", [2, 4, 5, 6, 7])
def test_values_of_every_filter(size):
    x = normal(0, 1, 9, 9, 2)
    z = jax.jit(lambda x: blur_pool(x, filter_size=size, strides=3))(x)
    np.testing.assert_allclose(z, looped(x, binomial_filter(size), 3, "reflect"), atol=1e-6)


@pytest.mark.fast
def test_the_maximum_comes_first():
    x = np.float32([0, 4, 0, 0, 8, 0]).reshape(1, 6, 1)
    # Maxima of pairs, around the circle: 4 4 0 8 8 0, each blurred with its two neighbours.
    z = jax.jit(lambda x: max_blur_pool(x, padding="CIRCULAR"))(x)
    np.testing.assert_allclose(np.ravel(z), [(0 + 8 + 4) / 4, (4 + 0 + 8) / 4, (8 + 16 + 0) / 4])


def shift_errors(f, x):
    """||f(S_m x) - S_m f(x)|| / ||f(x)|| at the shifts m = 1, 2, 3 of a stride of 2; odd ones
    against the nearest whole shift of the output, rounded down."""
    f = jax.jit(f)
    z = np.asarray(f(x))
    return [
        np.linalg.norm(f(np.roll(x, m, 1)) - np.roll(z, m // 2, 1)) / np.linalg.norm(z)
        for m in (1, 2, 3)
    ]


@pytest.mark.fast
def test_shifts_by_the_stride_are_exact_and_others_are_better_than_of_max_pooling():
    x = normal(0, 4, 16, 16, 1)

    def strided(x):
        return max_pool(x, 2, strides=2, padding="CIRCULAR")

    def blurred(x, size=3):
        return max_blur_pool(x, filter_size=size, padding="CIRCULAR")

    for f in (strided, blurred):
        assert shift_errors(f, x)[1] <= 1e-6
    odd = [shift_errors(f, x)[0] for f in (strided, blurred, lambda x: blurred(x, 7))]
    assert odd[0] > odd[1] > odd[2] > 0.01


@pytest.mark.fast
def test_a_constant_stays_and_the_highest_frequency_goes():
    blur, ones = jax.jit(blur_pool), np.ones((1, 8, 8, 1), np.float32)
    np.testing.assert_allclose(blur(ones), np.ones((1, 4, 4, 1)), rtol=1e-6)
    checkers = np.float32((-1.0) ** np.indices((8, 8)).sum(0)).reshape(1, 8, 8, 1)
    np.testing.assert_allclose(blur(checkers), np.zeros((1, 4, 4, 1)), atol=1e-6)


@pytest.mark.fast
def test_derivatives_and_leading_axes():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(1, 6, 6, 2))
        check_derivatives(blur_pool, x)
        check_derivatives(max_blur_pool, x)
    x = normal(0, 2, 3, 8, 8, 2)
    one, together = jax.jit(blur_pool), jax.jit(lambda x: blur_pool(x, strides=(2, 2)))
    apart = np.stack([one(each) for each in x])
    np.testing.assert_allclose(together(x), apart, atol=1e-6)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: blur_pool(x, filter_size=8), "`filter_size` must be 2 to 7, got 8"),
        (lambda x: blur_pool(x, strides=0), "strides must be at least 1, got 0"),
        (lambda x: blur_pool(x[0, 0]), r"1 to 3 spatial axes, got shape \(8, 1\)"),
        (lambda x: blur_pool(x, padding="ZERO"), "got 'ZERO'"),
        (lambda x: blur_pool(x, padding=[1]), r"got \[1\]"),
        (lambda x: max_blur_pool(x, window_shape=0), "window_shape must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(jnp.ones((1, 8, 8, 1)))
    assert "\n" not in str(error.value)
