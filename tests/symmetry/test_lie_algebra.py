"""Generators of symmetries that functions are made to have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import invariant_generators, invariant_plane_motions

DRAW = np.random.default_rng(0)
ROTATION = np.array([[0, -1], [1, 0]]) / np.sqrt(2)


def generators(f, x, of=invariant_generators):
    """Generators as NumPy arrays, from one program."""
    return jax.device_get(jax.jit(lambda x: of(f, x))(x))


def same_up_to_sign(actual, expected, atol):
    actual = np.asarray(actual)
    sign = np.sign((actual * expected).sum())
    np.testing.assert_allclose(sign * actual, expected, atol=atol)


def test_the_length_of_a_vector_is_left_alone_by_rotation_only():
    x = DRAW.normal(size=(50, 2)).astype(np.float32)
    found = generators(lambda v: jnp.tanh((v**2).sum(1)), x)
    same_up_to_sign(found.matrices[0], ROTATION, 1e-4)
    assert found.changes[0] < 1e-6
    assert found.changes[1] > 0.05


def test_the_first_coordinate_is_left_alone_by_what_moves_the_second():
    x = DRAW.normal(size=(50, 2)).astype(np.float32)
    found = generators(lambda v: v[:, 0] ** 3, x)
    # A x must have no first coordinate: two generators of four, with an empty first row.
    np.testing.assert_array_less(found.changes[:2], 1e-5)
    assert found.changes[2] > 0.1
    np.testing.assert_allclose(found.matrices[:2, 0], 0, atol=1e-4)


def test_rotations_of_space_are_three_and_antisymmetric():
    x = DRAW.normal(size=(80, 3)).astype(np.float32)
    found = generators(lambda v: jnp.exp(-(v**2).sum(1)), x)
    assert (found.changes < 1e-6).sum() == 3
    symmetric = found.matrices[:3] + found.matrices[:3].swapaxes(1, 2)
    np.testing.assert_allclose(symmetric, 0, atol=1e-3)


def test_a_function_without_symmetry_has_none():
    x = DRAW.normal(size=(80, 2)).astype(np.float32)
    found = generators(lambda v: jnp.sin(v[:, 0]) + v[:, 1] ** 2, x)
    assert found.changes[0] > 0.05


def blobs():
    down, right = np.indices((21, 21)) - 10.0
    places = DRAW.uniform(-4, 4, (12, 2, 1, 1))
    bells = np.exp(-((down - places[:, 0]) ** 2 + (right - places[:, 1]) ** 2) / 8)
    return bells[..., None].astype(np.float32)


def test_weighing_an_image_by_radius_is_left_alone_by_rotation():
    down, right = np.indices((21, 21)) - 10.0
    radius = np.float32(np.exp(-(down**2 + right**2) / 50))[None, ..., None]
    found = generators(lambda x: (x * radius).sum((1, 2, 3)), blobs(), invariant_plane_motions)
    same_up_to_sign(found.matrices[0], ROTATION, 0.02)
    assert found.changes[0] < 0.05 * found.changes[1]


def test_ramps_turn_without_a_seam_at_the_border():
    """f = |a|^2 of the ramps x = a . p, told from first differences: rotation leaves it alone."""
    down, right = np.indices((9, 9)) - 4.0
    slopes = DRAW.normal(size=(12, 2))
    ramps = slopes[:, :1, None] * down + slopes[:, 1:, None] * right

    def steepness(x):
        return (jnp.diff(x, axis=1).mean((1, 2, 3))) ** 2 + jnp.diff(x, axis=2).mean((1, 2, 3)) ** 2

    found = generators(steepness, ramps[..., None].astype(np.float32), invariant_plane_motions)
    same_up_to_sign(found.matrices[0], ROTATION, 1e-3)
    assert found.changes[0] < 1e-5
    assert found.changes[1] > 0.05


def test_weighing_an_image_by_column_is_left_alone_by_what_moves_rows():
    column = np.float32(np.exp(-((np.arange(21) - 8.0) ** 2) / 20))
    weights = column.reshape(1, 1, 21, 1)
    # The sum over rows as well: scaling rows changes the mass, sliding rows along rows does not.
    found = generators(lambda x: (x * weights).sum((1, 2, 3)), blobs(), invariant_plane_motions)
    assert found.changes[0] < 0.05 * found.changes[1]
    # Sliding columns down by their distance: only the entry (down, right).
    same_up_to_sign(found.matrices[0], np.array([[0, 1], [0, 0]]), 0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: invariant_generators(jnp.sum, jnp.zeros(3)), r"got shape \(3,\)"),
        (lambda: invariant_generators(lambda v: v.sum(1), jnp.ones((3, 2))), "got 3"),
        (lambda: invariant_plane_motions(jnp.sum, jnp.zeros((3, 2))), r"got shape \(3, 2\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
