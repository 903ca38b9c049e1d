"""Labels estimated again and again with the same weights."""

import jax
import numpy as np
import pytest

from cnnjax.models import RecurrentSegmentation
from cnnjax.symmetry import translation_lattice


def made(**fields):
    model = RecurrentSegmentation(5, features=4, **fields)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    return model, jax.jit(model.init)(jax.random.key(0), x), x


def estimated(model):
    """All estimates of a model, as one program."""
    return jax.jit(lambda params, x: model.apply(params, x, method=model.estimates))


def test_every_iteration_has_the_same_weights_and_starts_from_the_one_before():
    one, params, x = made(iterations=1)
    three, others, _ = made(iterations=3)
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, others)
    estimates = np.asarray(estimated(three)(params, x))
    np.testing.assert_allclose(estimates[0], jax.jit(one.apply)(params, x), atol=1e-6)
    assert np.abs(estimates[1] - estimates[0]).max() > 1e-3
    assert np.abs(estimates[2] - estimates[1]).max() > 1e-5
    np.testing.assert_array_equal(jax.jit(three.apply)(params, x), estimates[2])
    train = lambda params, x: three.apply(params, x, train=True, mutable="auxiliary")
    _, sown = jax.eval_shape(train, params, x)
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
    first, *others = np.asarray(estimated(three)(params, x))
    np.testing.assert_array_equal(first, jax.jit(made(iterations=1)[0].apply)(params, x))
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_untied_iterations_are_tied_ones_where_their_weights_are_equal():
    untied, params, x = made(iterations=2, tied=False)
    names = ("image", "estimate", "hidden", "labels")
    assert set(params["params"]) == {f"{name}_{n}" for name in names for n in (1, 2)}
    of_untied = estimated(untied)
    tied = estimated(made(iterations=2)[0])
    estimates = np.asarray(of_untied(params, x))
    for number in (1, 2):
        weights = {name: params["params"][f"{name}_{number}"] for name in names}
        alone = np.asarray(tied({"params": weights}, x))
        assert (np.abs(alone[number - 1] - estimates[number - 1]).max() < 1e-5) == (number == 1)
        alike = {f"{name}_{n}": weights[name] for name in names for n in (1, 2)}
        both = np.asarray(of_untied({"params": alike}, x))
        np.testing.assert_allclose(both[1], alone[1], atol=1e-5)


@pytest.mark.parametrize(
    "fields", [{"iterations": 2}, {"iterations": 2, "tied": False}, {"iterations": 1, "depth": 3}]
)
def test_as_many_further_layers_see_as_far_as_iterations(fields):
    """Fields of 9 and 17 pixels of kernels of 5, one more and two more iterations."""
    model = RecurrentSegmentation(2, features=3, **fields)
    x = np.random.default_rng(0).normal(size=(1, 1, 41, 1)).astype(np.float32)
    params = jax.device_get(jax.jit(model.init)(jax.random.key(0), x))
    # Positive weights, so that no ReLU hides the ends of the field.
    weights = jax.tree.map(lambda leaf: np.abs(leaf) + np.float32(0.1), params)
    for name in weights["params"]:
        if name.startswith("labels"):  # so that the softmax changes
            signs = np.where(np.arange(2) == 0, -1, 1).astype(np.float32)
            weights["params"][name]["kernel"] *= 0.001 * signs
    gradient = jax.grad(lambda x: model.apply(weights, x)[0, 0, 20, 1])
    gradient = jax.jit(gradient)(np.abs(x) * np.float32(0.01))
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
