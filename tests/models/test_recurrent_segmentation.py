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


def test_without_feedback_every_iteration_is_the_first():
    three, params, x = made(iterations=3, feedback="zero")
    first, *others = three.apply(params, x, method=three.estimates)
    np.testing.assert_array_equal(first, made(iterations=1)[0].apply(params, x))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_untied_iterations_are_tied_ones_where_their_weights_are_equal():
    untied, params, x = made(iterations=2, tied=False)
    names = ("image", "estimate", "hidden", "labels")
    assert set(params["params"]) == {f"{name}_{n}" for name in names for n in (1, 2)}
    estimates = untied.apply(params, x, method=untied.estimates)
    for number in (1, 2):
        weights = {name: params["params"][f"{name}_{number}"] for name in names}
        tied = made(iterations=2)[0]
        alone = tied.apply({"params": weights}, x, method=tied.estimates)
        assert (np.abs(alone[number - 1] - estimates[number - 1]).max() < 1e-5) == (number == 1)
        alike = {f"{name}_{n}": weights[name] for name in names for n in (1, 2)}
        both = untied.apply({"params": alike}, x, method=untied.estimates)
        np.testing.assert_allclose(both[1], alone[1], atol=1e-5)


@pytest.mark.parametrize(
    "fields", [{"iterations": 2}, {"iterations": 2, "tied": False}, {"iterations": 1, "depth": 3}]
)
def test_as_many_further_layers_see_as_far_as_iterations(fields):
    """Fields of 9 and 17 pixels of kernels of 5, one more and two more iterations."""
    model = RecurrentSegmentation(2, features=3, **fields)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 1, 41, 1)), jnp.float32)
    params = model.init(jax.random.key(0), x)
    # Positive weights, so that no ReLU hides the ends of the field.
    weights = jax.tree.map(lambda leaf: jnp.abs(leaf) + 0.1, params)
    for name in weights["params"]:
        if name.startswith("labels"):  # so that the softmax changes
            kernel = weights["params"][name]["kernel"]
            weights["params"][name]["kernel"] = kernel.at[..., 0].set(-kernel[..., 0]) * 0.001
    gradient = jax.grad(lambda x: model.apply(weights, x)[0, 0, 20, 1])(jnp.abs(x) * 0.01)
    seen = np.flatnonzero(gradient)
    assert (seen.min(), seen.max()) == (12, 28)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"feedback": "none"}, "feedback must be one of labels, zero, got 'none'"),
    ],
)
def test_a_wrong_network_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        made(**fields)
