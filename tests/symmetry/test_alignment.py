"""Linear maps between representations that are, or are not, the same up to one."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.symmetry import fit_linear_map, linear_equivalence, rotate90

DRAW = np.random.default_rng(0)


def noise(*shape):
    return jnp.asarray(DRAW.normal(size=shape), jnp.float32)


def test_a_mixing_of_features_is_undone():
    a, mixing = noise(200, 6), noise(6, 6)
    b = a @ mixing + 3
    np.testing.assert_allclose(linear_equivalence(a, b), 1, atol=1e-4)
    np.testing.assert_allclose(linear_equivalence(b, a), 1, atol=1e-4)
    fitted = fit_linear_map(a, b)
    np.testing.assert_allclose(fitted.coef_.T, mixing, atol=1e-4)
    np.testing.assert_allclose(fitted.intercept_, np.full(6, 3), atol=1e-4)


def test_unrelated_features_explain_nothing_and_half_of_them_half():
    a, b = noise(2000, 4), noise(2000, 4)
    # Four coefficients from a thousand examples explain a little by chance, and lose it on others.
    assert abs(float(linear_equivalence(a, b))) < 0.02
    half = jnp.concatenate([a[:, :2], b[:, 2:]], 1)
    np.testing.assert_allclose(linear_equivalence(a, half), 0.5, atol=0.05)


def test_explained_variance_by_hand():
    """Fitted on 0 -> (0, 0) and 1 -> (2, 1), which predicts (4, 2) and (6, 3) on the others."""
    a = jnp.array([[0.0], [1.0], [2.0], [3.0]])
    b = jnp.array([[0.0, 0.0], [2.0, 1.0], [4.0, 1.0], [8.0, 4.0]])
    # Squared errors 0 + 4 and 1 + 1, about means 6 and 2.5: 4 + 4 and 2.25 + 2.25.
    np.testing.assert_allclose(linear_equivalence(a, b, ridge=0), 1 - 6 / 12.5, rtol=1e-6)


def test_ridge_shrinks_as_its_formula_says():
    """One feature of variance 1 (+-1): the slope is 2 / (1 + ridge)."""
    a = jnp.array([[1.0], [-1.0]] * 8)
    fitted = fit_linear_map(a, 2 * a, ridge=3.0)
    np.testing.assert_allclose(np.ravel(fitted.coef_), [0.5], rtol=1e-5)


def test_rotated_filters_answer_a_turned_image_as_a_mixing_of_channels():
    """A bank that holds its own turned copies is equivariant up to a permutation of channels."""
    kernel = noise(3, 3, 1, 2)
    closed = jnp.concatenate([jnp.rot90(kernel, turns) for turns in range(4)], -1)
    x = noise(12, 9, 9, 1)

    def equivalence(bank):
        f = lambda x: jnp.maximum(ops.conv(x, bank), 0)
        return float(linear_equivalence(rotate90(f(x)), f(rotate90(x))))

    assert equivalence(closed) > 0.9999
    assert equivalence(noise(3, 3, 1, 8)) < 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_linear_map(noise(3, 2), noise(4, 2)), r"got \(3, 2\) and \(4, 2\)"),
        (lambda: fit_linear_map(noise(3, 2), noise(3, 2), -1.0), "got -1.0"),
        (lambda: linear_equivalence(noise(3, 2), noise(3, 2), train_share=1.0), "of 3, got 1.0"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
