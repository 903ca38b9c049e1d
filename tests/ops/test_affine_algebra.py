"""The exponential of affine generators, against SciPy's and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from cnnjax.ops import GENERATORS, affine_exponential

pytestmark = pytest.mark.fast

BASIS = {  # on (down, right, 1), written out again
    "down": [[0, 0, 1], [0, 0, 0], [0, 0, 0]],
    "right": [[0, 0, 0], [0, 0, 1], [0, 0, 0]],
    "rotation": [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
    "scaling": [[1, 0, 0], [0, 1, 0], [0, 0, 0]],
    "stretching": [[1, 0, 0], [0, -1, 0], [0, 0, 0]],
    "shearing": [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
}


def test_it_is_the_matrix_exponential():
    amounts = np.random.default_rng(0).uniform(-1.5, 1.5, (3, 4, 6)).astype(np.float32)
    matrix, offset = affine_exponential(jnp.asarray(amounts))
    assert list(GENERATORS) == list(BASIS)
    assert (matrix.shape, offset.shape) == ((3, 4, 2, 2), (3, 4, 2))
    for place in np.ndindex(3, 4):
        element = np.einsum("i,ijk->jk", amounts[place].astype(float), [*BASIS.values()])
        expected = linalg.expm(element)
        np.testing.assert_allclose(matrix[place], expected[:2, :2], rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(offset[place], expected[:2, 2], rtol=2e-5, atol=2e-5)


def test_generators_in_the_order_of_their_amounts():
    matrix, offset = affine_exponential(jnp.array([0.25, 3.0]), ("right", "rotation"))
    cos, sin = np.cos(3.0), np.sin(3.0)
    np.testing.assert_allclose(matrix, [[cos, -sin], [sin, cos]], atol=2e-6)
    # The integral of the rotation, times the velocity (0, 1 / 4).
    np.testing.assert_allclose(offset, [0.25 * (cos - 1) / 3, 0.25 * sin / 3], atol=2e-6)


def test_its_derivative_is_the_generator_at_zero():
    slopes = jax.jacobian(lambda amounts: affine_exponential(amounts)[0])(jnp.zeros(6))
    np.testing.assert_allclose(
        np.moveaxis(slopes, -1, 0), np.array([*BASIS.values()])[:, :2, :2], atol=1e-7
    )


@pytest.mark.parametrize(
    ("amounts", "generators", "message"),
    [
        (jnp.zeros(1), ("turning",), "must be among down, right, rotation"),
        (jnp.zeros(0), (), "must be among"),
        (jnp.zeros((2, 3)), ("down", "right"), r"must be \[\*leading, 2\].*got shape \(2, 3\)"),
        (jnp.zeros(()), ("down",), r"got shape \(\)"),
    ],
)
def test_wrong_input_is_one_sentence(amounts, generators, message):
    with pytest.raises(ValueError, match=message):
        affine_exponential(amounts, generators)
