"""Polyphase sampling: worked numbers, and every circular shift as an exact symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnjax.ops.polyphase import (
    adaptive_polyphase,
    mixed_polyphase,
    polyphase_component,
    polyphase_components,
)
from cnnjax.ops.pool import max_pool


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.fast
def test_components_by_hand():
    x = jnp.arange(24).reshape(1, 4, 6, 1)
    components = polyphase_components(x)
    assert components.shape == (1, 4, 2, 3, 1)
    np.testing.assert_array_equal(
        components[0, :, :, :, 0],
        [
            [[0, 2, 4], [12, 14, 16]],
            [[1, 3, 5], [13, 15, 17]],
            [[6, 8, 10], [18, 20, 22]],
            [[7, 9, 11], [19, 21, 23]],
        ],
    )
    third = polyphase_components(x, (1, 3))[0, 2, :, :, 0]
    np.testing.assert_array_equal(third, [[2, 5], [8, 11], [14, 17], [20, 23]])


@pytest.mark.fast
def test_the_norm_decides_and_its_order_matters():
    # Components (3, 4) and (0, 5) and (2, 2): l1 7, 5, 4; l2 5, 5, ...; largest entry 4, 5, 2.
    x = jnp.asarray([3.0, 0.0, 2.0, 4.0, 5.5, 2.0]).reshape(1, 6, 1)
    for order, component in [(1, 0), (2, 1), (jnp.inf, 1)]:
        z, index = adaptive_polyphase(x, strides=3, order=order)
        assert index.tolist() == [component]
        np.testing.assert_array_equal(z.ravel(), x.ravel()[component::3])


def is_a_shift_of(z, other):
    """Whether two images are circular shifts of each other, and by how much."""
    return any(
        bool(jnp.abs(jnp.roll(z, (i, j), (0, 1)) - other).max() <= 1e-6)
        for i in range(z.shape[0])
        for j in range(z.shape[1])
    )


@pytest.mark.parametrize("strides", [2, 3, (2, 3)])
@pytest.mark.parametrize("order", [1.0, 2.0, jnp.inf])
def test_every_circular_shift_moves_the_output_and_a_stride_does_not(strides, order):
    x = normal(0, 1, 6, 6, 2)
    z, _ = adaptive_polyphase(x, strides=strides, order=order)
    plain = polyphase_components(x, strides)[0, 0]
    kept = []
    for shift in np.ndindex(6, 6):
        moved = jnp.roll(x, shift, (1, 2))
        assert is_a_shift_of(adaptive_polyphase(moved, strides=strides, order=order)[0][0], z[0])
        kept.append(is_a_shift_of(polyphase_components(moved, strides)[0, 0], plain))
    # Negative control: a stride keeps the same component only for its own multiples.
    rows, columns = strides if isinstance(strides, tuple) else (strides, strides)
    assert sum(kept) == 36 // (rows * columns)


@pytest.mark.fast
@pytest.mark.parametrize("scale", [1e-2, 1e20])
def test_no_power_of_the_norm_is_too_small_or_large_to_tell_components_apart(scale):
    x = scale * normal(0, 1, 4, 4, 1)
    _, index = adaptive_polyphase(x, order=30)
    _, moved = adaptive_polyphase(jnp.roll(x, (1, 1), (1, 2)), order=30)
    # Component 2 i + j begins at (i, j): the one chosen is the other one on both axes.
    np.testing.assert_array_equal(moved, 3 - index)


def test_one_index_keeps_two_branches_together():
    x, other = normal(0, 3, 4, 4, 2), normal(1, 3, 4, 4, 5)
    z, index = adaptive_polyphase(x)
    np.testing.assert_array_equal(polyphase_component(x, index), z)
    total = z.sum(-1) + polyphase_component(other, index).sum(-1)
    moved, moved_index = adaptive_polyphase(jnp.roll(x, (1, 3), (1, 2)))
    moved_other = polyphase_component(jnp.roll(other, (1, 3), (1, 2)), moved_index)
    for image, image_moved in zip(total, moved.sum(-1) + moved_other.sum(-1), strict=True):
        assert is_a_shift_of(image, image_moved)


@pytest.mark.fast
def test_max_pooling_is_not_shift_equivariant():
    x = normal(0, 1, 6, 6, 1)
    z = max_pool(x, 2, strides=2)[0]
    assert not is_a_shift_of(z, max_pool(jnp.roll(x, 1, 1), 2, strides=2)[0])


@pytest.mark.fast
def test_weights_of_one_component_give_it_and_mixtures_are_linear():
    x = normal(0, 2, 4, 4, 3)
    components = polyphase_components(x)
    one_hot = jax.nn.one_hot(jnp.array([2, 0]), 4)
    expected = jnp.stack([components[0, 2], components[1, 0]])
    np.testing.assert_array_equal(mixed_polyphase(x, one_hot), expected)
    halves = jnp.full((2, 4), 0.25)
    np.testing.assert_allclose(mixed_polyphase(x, halves), components.mean(1), atol=1e-6)


@pytest.mark.fast
def test_derivatives_leading_axes_and_types():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 2)))
        f = jax.jit(lambda x: jnp.sin(adaptive_polyphase(x)[0]))
        check_grads(f, (x,), order=2, modes=("fwd", "rev"))
    x = normal(0, 2, 3, 4, 4, 2)
    z, index = adaptive_polyphase(x, strides=(2, 2))
    assert (z.shape, index.shape, index.dtype) == ((2, 3, 2, 2, 2), (2, 3), jnp.int32)
    assert adaptive_polyphase(x[0].astype(jnp.bfloat16))[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(jax.vmap(lambda each: adaptive_polyphase(each)[0])(x), z)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: adaptive_polyphase(x, strides=4), r"\(4, 4\) must divide .* \(1, 6, 6, 1\)"),
        (lambda x: adaptive_polyphase(x, order=0.5), "at least 1, got 0.5"),
        (lambda x: adaptive_polyphase(x[0, 0]), r"got shape \(6, 1\)"),
        (lambda x: polyphase_component(x, jnp.zeros((2,), int)), r"got shape \(2,\)"),
        (lambda x: mixed_polyphase(x, jnp.ones((1, 3))), r"needs weights \(1, 4\)"),
    ],
)
def test_wrong_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(jnp.ones((1, 6, 6, 1)))
    assert "\n" not in str(error.value)
