"""Explicit maps and sharing patterns against matrices written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.inspect import (
    UNCONNECTED,
    affine_error,
    linear_map,
    sharing_pattern,
    sharing_rule,
)
from cnnjax.layers import VARIANTS, Conv, LowRankLocalConv, TiledConv

_ = UNCONNECTED


def pattern(layer, shape):
    params = jax.jit(layer.init)(jax.random.key(0), np.zeros((1, *shape), np.float32))
    return sharing_pattern(lambda x, params: layer.apply(params, x), params, shape)


@pytest.mark.fast
def test_the_map_of_a_matrix_is_the_matrix():
    matrix = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    found, offset = linear_map(lambda x: x @ matrix.T + jnp.array([[1.0, 2.0, 3.0]]), (4,))
    np.testing.assert_array_equal(found, matrix)
    np.testing.assert_array_equal(offset, [1, 2, 3])


def test_the_map_flattens_positions_then_channels():
    """x [2, 2] to z [2, 1]: z[p] = 10^p (x[p, 0] + 2 x[p, 1])."""
    scale = jnp.array([[[1.0], [10.0]]])
    found, _ = linear_map(lambda x: (x @ jnp.array([[1.0], [2.0]])) * scale, (2, 2))
    np.testing.assert_array_equal(found, [[1, 2, 0, 0], [0, 0, 10, 20]])


@pytest.mark.fast
def test_affine_functions_have_no_error_and_others_have():
    assert affine_error(lambda x: 3 * x + 2, (5, 2)) < 1e-6
    assert affine_error(lambda x: jnp.zeros_like(x), (5, 2)) == 0
    assert affine_error(jax.nn.relu, (5, 2)) > 0.1
    assert affine_error(lambda x: x**2, (5, 2)) > 0.1


HAND = {
    ("standard", "SAME"): [[0, 1, _, _], [2, 0, 1, _], [_, 2, 0, 1], [_, _, 2, 0]],
    ("standard", "CIRCULAR"): [[0, 1, _, 2], [2, 0, 1, _], [_, 2, 0, 1], [1, _, 2, 0]],
    ("standard", "VALID"): [[0, 1, 2, _], [_, 0, 1, 2]],
    ("dilated", "CIRCULAR"): [[0, _, 1, _], [_, 0, _, 1], [1, _, 0, _], [_, 1, _, 0]],
    ("tiled", "SAME"): [[0, 1, _, _], [2, 3, 4, _], [_, 5, 0, 1], [_, _, 2, 3]],
    ("local", "VALID"): [[0, 1, 2, _], [_, 3, 4, 5]],
    ("low_rank", "VALID"): [[0, 1, 2, _], [_, 3, 4, 5]],
    ("dense", "VALID"): [[0, 1, 2, 3], [4, 5, 6, 7]],
}


@pytest.mark.parametrize(("name", "padding"), HAND, ids=str)
def test_sharing_in_one_dimension_is_the_matrix_drawn_by_hand(name, padding):
    """Circular dilated: taps 2 apart on 4 positions read one position twice, as one sum."""
    layer = VARIANTS[name](1, (3,), padding=padding)
    np.testing.assert_array_equal(pattern(layer, (4, 1)), HAND[name, padding])


def test_sharing_counts_weights_in_two_dimensions_and_channels():
    """3x3 taps, 2 channels in, 3 out: 54 weights; each tile of 2x2 has its own."""
    assert pattern(Conv(3, (3, 3), padding="CIRCULAR"), (4, 4, 2)).max() + 1 == 54
    assert pattern(TiledConv(3, (3, 3), padding="CIRCULAR"), (4, 4, 2)).max() + 1 == 4 * 54


def test_low_rank_of_rank_one_shares_everything():
    """Its one kernel is weighted by a softmax over one: 1 everywhere."""
    layer = LowRankLocalConv(1, (3,), rank=1, padding="CIRCULAR")
    np.testing.assert_array_equal(pattern(layer, (4, 1)), HAND["standard", "CIRCULAR"])


def test_what_no_parameter_moves_is_told_apart_by_value():
    function = lambda x, params: x @ jnp.array([[1.0, 1.0], [2.0, 0.0]]) + 0 * params
    labels = sharing_pattern(function, jnp.zeros((1, 2)), (2,))
    np.testing.assert_array_equal(labels, [[0, 1], [0, UNCONNECTED]])


def test_equal_initial_values_are_not_taken_for_sharing():
    """Two parameters that start equal (at 1) are two; only their derivatives tell."""
    params = jnp.ones(2)
    function = lambda x, params: x * params[None]
    np.testing.assert_array_equal(sharing_pattern(function, params, (2,)), [[0, -1], [-1, 1]])


@pytest.mark.parametrize(
    ("layer", "rule"),
    [
        (Conv(1, 3, padding="CIRCULAR"), [0] * 6),
        (Conv(1, 3, padding="CIRCULAR", strides=2), [0] * 3),
        (TiledConv(1, 3, padding="CIRCULAR", tile=2), [0, 1] * 3),
        (TiledConv(1, 3, padding="CIRCULAR", tile=2, strides=2), [0, 1, 0]),
        (VARIANTS["local"](1, 3, padding="CIRCULAR"), [0, 1, 2, 3, 4, 5]),
    ],
    ids=["standard", "strided", "tiled", "tiled and strided", "local"],
)
def test_the_rule_of_a_layer_is_that_of_its_formula(layer, rule):
    assert sharing_rule(pattern(layer, (6, 1)), layer.strides) == rule


@pytest.mark.fast
def test_a_kernel_in_another_order_is_another_kernel():
    labels = np.array([[0, 1, -1, 2], [0, 2, 1, -1]])
    # Moved back by one position: 2, 1, -1, 0 for the second row.
    assert sharing_rule(labels) == [0, 1]
    assert sharing_rule(np.array([[0, 1, -1, 2], [2, 0, 1, -1]])) == [0, 0]
