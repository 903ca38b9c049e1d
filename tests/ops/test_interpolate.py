"""Images read between pixels, against SciPy and by hand."""

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from cnnjax import ops
from cnnjax.data import augmentation_config
from cnnjax.ops.interpolation import Border

MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "reflect": "mirror",
    "circular": "grid-wrap",
}
DRAW = np.random.default_rng(0)
IMAGE = DRAW.uniform(size=(12, 14, 2)).astype("float32")
POINTS = DRAW.uniform(-9, 22, (2, 40)).astype("float32")


def read(x, points, **options):
    """`interpolate` as one program."""
    return np.asarray(jax.jit(lambda x, points: ops.interpolate(x, points, **options))(x, points))


@pytest.mark.parametrize("border", MODES)
def test_bilinear_is_scipys(border):
    actual = read(IMAGE, POINTS, border=border, fill=0.25)
    for channel in range(2):
        expected = scipy.ndimage.map_coordinates(
            IMAGE[..., channel].astype(np.float64),
            POINTS.astype(np.float64),
            order=1,
            mode=MODES[border],
            cval=0.25,
        )
        np.testing.assert_allclose(actual[:, channel], expected, atol=1e-5)


def test_bicubic_reads_squares_exactly_and_pixels_as_they_are():
    """Keys' kernel keeps polynomials up to the second degree, away from the border."""
    down, right = np.indices((12, 12)).astype("float32")
    surface = down**2 - 3 * down * right + 2 * right
    points = DRAW.uniform(2, 9, (2, 30)).astype("float32")
    y, x = points
    image = surface[..., None]
    actual = read(image, points, interpolation="bicubic")[:, 0]
    np.testing.assert_allclose(actual, y**2 - 3 * y * x + 2 * x, rtol=1e-5, atol=1e-4)
    linear = read(image, points)[:, 0]
    assert np.abs(linear - actual).max() > 0.05
    grid = np.indices((12, 12)).astype(np.float32)
    same = read(image, grid, interpolation="bicubic")
    np.testing.assert_array_equal(same, image)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_leading_axes_are_a_loop_and_integers_become_floats(interpolation):
    images = DRAW.integers(0, 256, (2, 3, 6, 5, 1), dtype=np.uint8)
    points = DRAW.uniform(-1, 6, (2, 4, 7)).astype(np.float32)
    actual = read(images, points, interpolation=interpolation, fill=7.0)
    assert actual.shape == (2, 3, 4, 7, 1)
    assert actual.dtype == jnp.float32
    one = images[1, 2].astype(np.float32)
    expected = read(one, points, interpolation=interpolation, fill=7.0)
    np.testing.assert_allclose(actual[1, 2], expected, rtol=1e-6)


def test_sources_of_a_warp_by_hand():
    """A quarter turn of a 3 x 3 grid, moved one down: (0, 0) comes from (-1, 0) turned back."""
    turn = jnp.array([[0.0, -1.0], [1.0, 0.0]])
    actual = ops.affine_sources((3, 3), turn, (1.0, 0.0))
    matrix, c = np.array([[0.0, -1.0], [1.0, 0.0]]), np.ones(2)
    for down in range(3):
        for right in range(3):
            p = np.array([down, right])
            expected = c + np.linalg.inv(matrix) @ (p - c - np.array([1.0, 0.0]))
            np.testing.assert_allclose(actual[:, down, right], expected, atol=1e-6)


def test_sources_are_right_where_matrices_are_multiplied_in_half_precision():
    """By the precision of jax that TPUs have by default, of a large image turned by a degree."""
    angle = np.pi / 180
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    with jax.default_matmul_precision("bfloat16"):
        actual = ops.affine_sources((224, 224), jnp.asarray(matrix, jnp.float32))
    grid = np.indices((224, 224)) - 111.5
    expected = np.tensordot(matrix.T, grid, 1) + 111.5
    np.testing.assert_allclose(actual, expected, atol=1e-3)


@pytest.mark.fast
def test_augmentation_offers_every_border():
    assert typing.get_args(augmentation_config.Border) == typing.get_args(Border)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"border": "wrap"}, "got 'wrap'"),
        ({"interpolation": "fourier"}, "got 'fourier'"),
        ({"x": jnp.ones((4, 4))}, r"got shape \(4, 4\)"),
    ],
)
def test_wrong_arguments_are_named(given, message):
    arguments = {"x": jnp.ones((4, 4, 1)), "sources": jnp.zeros((2, 3)), **given}
    with pytest.raises(ValueError, match=message):
        ops.interpolate(**arguments)
