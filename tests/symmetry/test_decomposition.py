"""Terms of a chain by hand: orthogonal, cancelling, and none."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import MOTIONS, lie_decomposition, lie_derivative, unchanged

ANGLES = 2 * np.pi * np.arange(8) / 8
RIGHT = MOTIONS["right"]
X = jnp.asarray(np.cos(ANGLES)[None, None, :, None] + np.zeros((1, 8, 1, 1)), jnp.float32)
WEIGHTS = jnp.asarray(np.cos(ANGLES) + np.sin(ANGLES), jnp.float32)[None, None, :, None]


def weighted(x):
    return WEIGHTS * x


def doubled(x):
    return 2 * x


def mean(x):
    return x.mean((1, 2))


def test_one_layer_that_loses_the_symmetry_has_all_of_the_derivative():
    """Moved by t, the weighted mean is in proportion to cos(2 pi t) + sin(2 pi t), 1 at 0."""
    found = lie_decomposition([weighted, doubled, mean], X, [RIGHT] * 3 + [unchanged])
    assert found.derivative == pytest.approx(2 * np.pi, rel=1e-5)
    assert found.terms == pytest.approx([2 * np.pi, 0, 0], rel=1e-5, abs=1e-5)
    assert found.shares == pytest.approx([1, 0, 0], abs=1e-6)
    assert found.coherence == pytest.approx(1, rel=1e-5)
    assert found.remainder < 1e-5


def test_terms_that_cancel_have_equal_shares_and_no_coherence():
    x, gain = X + 2, WEIGHTS + 2
    chain = [lambda x: gain * x, lambda x: x / gain, mean]
    found = lie_decomposition(chain, x, [RIGHT] * 3 + [unchanged])
    assert found.shares == pytest.approx([0.5, 0.5, 0], abs=1e-4)
    assert found.terms[0] > 0.1
    assert found.coherence < 1e-3
    assert found.derivative < 1e-3
    # Not a number, if it were relative to a derivative of zero.
    assert found.remainder < 1e-3


def test_orthogonal_terms_add_like_the_sides_of_a_right_angle():
    """Two outputs, each changed by a layer of its own, with sizes as 3 to 4."""
    two = lambda x: jnp.concatenate([x, x], -1)
    first = lambda x: x * jnp.concatenate([1 + 0 * WEIGHTS, WEIGHTS], -1)
    second = lambda x: x * jnp.concatenate([4 * WEIGHTS, 3 + 0 * WEIGHTS], -1)
    chain = [two, first, second, mean]
    found = lie_decomposition(chain, X, [RIGHT] * 4 + [unchanged])
    assert found.shares == pytest.approx([0, 9 / 25, 16 / 25, 0], abs=1e-5)
    assert found.coherence == pytest.approx(1, rel=1e-5)
    diagonal = np.diag([0, 9 / 25, 16 / 25, 0])
    np.testing.assert_allclose(found.products, diagonal, atol=1e-5)
    assert found.derivative == pytest.approx(2 * np.pi, rel=1e-5)
    assert found.terms == pytest.approx([0, 1.2 * np.pi, 1.6 * np.pi, 0], rel=1e-5, abs=1e-5)


def test_products_tell_that_terms_cancel():
    """One output: the second layer takes part of what the first adds away again."""
    gain = WEIGHTS + 2
    less = lambda x: x / jnp.cbrt(gain)
    found = lie_decomposition([lambda x: gain * x, less, mean], X + 2, [RIGHT] * 3 + [unchanged])
    first, second = np.sqrt(found.products[0, 0]), np.sqrt(found.products[1, 1])
    assert first - second == pytest.approx(1, rel=1e-4)
    assert found.products[0, 1] == pytest.approx(-first * second, rel=1e-4)
    assert found.products.sum() == pytest.approx(1, rel=1e-4)


def test_a_function_that_keeps_the_symmetry_has_neither():
    found = lie_decomposition([doubled, mean], X + 1, [RIGHT, RIGHT, unchanged])
    assert found.derivative < 1e-6
    assert np.isfinite(np.asarray(found.shares)).all()
    assert np.isfinite(float(found.coherence))


def test_motions_are_those_of_their_names():
    """An image that varies along one axis alone does not change along the other."""
    assert list(MOTIONS) == ["down", "right", "rotation", "scaling", "shearing"]
    pixel = lambda x: x[:, 3, 2]
    assert abs(lie_derivative(pixel, X, MOTIONS["down"]).item()) < 1e-5
    expected = 2 * np.pi * np.sin(ANGLES[2])
    assert lie_derivative(pixel, X, RIGHT).item() == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="`actions` must be 2 for 1 layers"):
        lie_decomposition([mean], X, [RIGHT])
