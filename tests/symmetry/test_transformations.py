"""Transformations against NumPy, SciPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, strategies as st

from cnnjax.symmetry import (
    affine,
    flip,
    fourier_shift,
    rotate,
    rotate90,
    scale,
    shift,
)


def image(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# One program for all shifts of an image of these sizes; below, one that is not traced.
traced_shift = jax.jit(shift, static_argnums=2)


@pytest.mark.fast
@given(
    space=st.sampled_from([(5,), (2, 4), (3, 5), (3, 2, 4)]),
    fill=st.sampled_from(["circular", 0.0, -1.5]),
    data=st.data(),
)
def test_shift_moves_every_pixel_where_it_says(space, fill, data):
    x = image(2, *space, 2)
    shifts = data.draw(st.tuples(*(st.integers(-size - 1, size + 1) for size in space)))
    moved = np.asarray(traced_shift(x, shifts, fill))
    for position in np.ndindex(*space):
        source = np.subtract(position, shifts)
        if fill == "circular":
            expected = x[(slice(None), *np.mod(source, space))]
        elif ((source >= 0) & (source < space)).all():
            expected = x[(slice(None), *source)]
        else:
            expected = np.full((2, 2), fill, np.float32)
        np.testing.assert_array_equal(moved[(slice(None), *position)], expected)


def test_shifts_may_be_traced():
    x = image(1, 5, 4, 1)
    for fill in (0.0, "circular"):
        moved = jax.jit(lambda dy, fill=fill: shift(x, (dy, 1), fill))(2)
        np.testing.assert_array_equal(moved, shift(x, (2, 1), fill))


def test_fourier_shift_of_a_wave_is_the_wave_moved():
    position = np.arange(12)[:, None]
    wave = lambda moved: np.cos(2 * np.pi * 3 * (position - moved) / 12).astype(np.float32)
    np.testing.assert_allclose(fourier_shift(wave(0), (0.4,)), wave(0.4), atol=1e-6)
    nyquist = np.cos(np.pi * position).astype(np.float32)
    moved = fourier_shift(nyquist, (0.4,))
    np.testing.assert_allclose(moved, np.cos(np.pi * 0.4) * nyquist, atol=1e-6)


def test_whole_fourier_shifts_are_shifts():
    x = image(2, 6, 5, 3)
    np.testing.assert_allclose(fourier_shift(x, (2, -1)), shift(x, (2, -1)), atol=1e-6)
    assert not np.allclose(fourier_shift(x, (2, -1)), shift(x, (1, -1)), atol=0.1)


def test_fourier_shift_is_differentiable_in_the_distance():
    position = np.arange(8)[:, None]
    wave = np.sin(2 * np.pi * position / 8).astype(np.float32)
    slope = jax.jvp(lambda d: fourier_shift(wave, (d,)), (0.0,), (1.0,))[1]
    np.testing.assert_allclose(slope, -2 * np.pi / 8 * np.cos(2 * np.pi * position / 8), atol=1e-6)


@pytest.mark.parametrize("turns", range(-1, 4))
def test_rotations_agree_on_quarter_turns(turns):
    """By hand: a counter-clockwise turn takes the top right corner to the top left."""
    x = image(2, 5, 5, 2)
    exact = rotate90(x, turns)
    np.testing.assert_allclose(rotate(x, turns * np.pi / 2), exact, atol=1e-5)
    if turns == 1:
        np.testing.assert_array_equal(exact[:, 0, 0], x[:, 0, -1])


def test_affine_is_scipys():
    x = image(7, 6, 1)
    matrix = np.array([[1.1, 0.3], [-0.2, 0.8]])
    centre = (np.array([7, 6]) - 1) / 2
    inverse = np.linalg.inv(matrix)
    expected = scipy.ndimage.affine_transform(
        x[..., 0].astype(np.float64),
        inverse,
        centre - inverse @ centre,
        order=1,
        cval=0.5,
        mode="constant",
    )
    actual = np.asarray(affine(x, jnp.asarray(matrix, jnp.float32), fill=0.5))[..., 0]
    # SciPy blends with the fill only inside its border: compare where the source is inside.
    grid = np.stack(np.meshgrid(np.arange(7), np.arange(6), indexing="ij"), -1) - centre
    source = grid @ inverse.T + centre
    inside = ((source >= 0) & (source <= np.array([6, 5]))).all(-1)
    assert 10 < inside.sum() < 42
    np.testing.assert_allclose(actual[inside], expected[inside], atol=1e-5)


def test_scale_by_two_keeps_the_middle_and_doubles_distances():
    x = np.zeros((5, 5, 1), np.float32)
    x[2, 2] = x[2, 3] = 1
    enlarged = np.asarray(scale(x, 2.0))[..., 0]
    np.testing.assert_allclose(enlarged[2], [0, 0.5, 1, 1, 1], atol=1e-6)


def test_flip_mirrors_one_axis():
    x = image(2, 3, 4, 1)
    np.testing.assert_array_equal(flip(x, -2), x[:, :, ::-1])
    np.testing.assert_array_equal(flip(x, -3), x[:, ::-1])


@pytest.mark.fast
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: shift(x, (1, 1), "mirror"), "got 'mirror'"),
        (lambda x: shift(x, (1, 1, 1, 1)), "got 4 for shape"),
        (lambda x: flip(x, -1), "got -1"),
        (lambda x: flip(x, -4), "got -4"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((1, 4, 4, 1), np.float32))
