"""Labels estimated again and again with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.models import RecurrentSegmentation
from cnnjax.symmetry import translation_lattice


def made(**fields):
    model = RecurrentSegmentation(5, features=4, **fields)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
    return model, model.init(jax.random.key(0), x), x


def test_every_iteration_has_the_same_weights_and_starts_from_the_one_before():
    one, params, x = made(iterations=1)
    three, others, _ = made(iterations=3)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, others)
    estimates = three.apply(params, x, method=three.estimates)
    np.testing.assert_allclose(estimates[0], one.apply(params, x), atol=1e-6)
    assert np.abs(estimates[1] - estimates[0]).max() > 1e-3
    assert np.abs(estimates[2] - estimates[1]).max() > 1e-5
    np.testing.assert_array_equal(three.apply(params, x), estimates[2])
    _, sown = three.apply(params, x, train=True, mutable="auxiliary")
    assert sorted(sown["auxiliary"]) == ["iteration_1", "iteration_2"]
    # U and R of 25 weights, W of 25 from 5 classes, V of one; biases.
    by_hand = 25 * 4 + 4 + 25 * 5 * 4 + 4 + 25 * 4 * 4 + 4 + 4 * 5 + 5
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == by_hand


@pytest.mark.parametrize(("padding", "expected"), [("CIRCULAR", (1, 1)), ("SAME", (8, 8))])
def test_labels_move_with_the_image_where_there_is_no_border(padding, expected):
    model, params, _ = made(padding=padding)
    assert translation_lattice(lambda x: model.apply(params, x), (2, 8, 8, 1)) == expected


def test_no_iterations_are_refused():
    with pytest.raises(ValueError, match="got 0"):
        made(iterations=0)
