"""Polyphase sampling: worked numbers, and every circular shift as an exact symmetry."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.ops.polyphase import (
    adaptive_polyphase,
    mixed_polyphase,
    polyphase_component,
    polyphase_components,
)
from cnnjax.ops.pool import max_pool
from tests.ops.finite_differences import check_derivatives


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.partial(jax.jit, static_argnames=("strides", "order"))
def adaptive(x, strides=2, order=2.0):
    """`adaptive_polyphase` as one program."""
    return adaptive_polyphase(x, strides=strides, order=order)


components_of = jax.jit(polyphase_components, static_argnums=1)
component_of = jax.jit(polyphase_component)


@pytest.mark.fast
def test_components_by_hand():
    x = np.arange(24).reshape(1, 4, 6, 1)
    components = np.asarray(components_of(x, 2))
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
    third = np.asarray(components_of(x, (1, 3)))[0, 2, :, :, 0]
    np.testing.assert_array_equal(third, [[2, 5], [8, 11], [14, 17], [20, 23]])


@pytest.mark.fast
def test_the_norm_decides_and_its_order_matters():
    # Components (3, 4) and (0, 5) and (2, 2): l1 7, 5, 4; l2 5, 5, ...; largest entry 4, 5, 2.
    x = np.float32([3.0, 0.0, 2.0, 4.0, 5.5, 2.0]).reshape(1, 6, 1)
    for order, component in [(1, 0), (2, 1), (np.inf, 1)]:
        z, index = jax.device_get(adaptive(x, strides=3, order=order))
        assert index.tolist() == [component]
        np.testing.assert_array_equal(z.ravel(), x.ravel()[component::3])


def is_a_shift_of(z, other):
    """Whether two images are circular shifts of each other, and by how much."""
    return any(
        np.abs(np.roll(z, (i, j), (0, 1)) - other).max() <= 1e-6
        for i in range(z.shape[0])
        for j in range(z.shape[1])
    )


@pytest.mark.parametrize("strides", [2, 3, (2, 3)])
@pytest.mark.parametrize("order", [1.0, 2.0, np.inf])
def test_every_circular_shift_moves_the_output_and_a_stride_does_not(strides, order):
    x = normal(0, 1, 6, 6, 2)
    # Every shift is an example of one batch, the first of which is not moved.
    moved = np.concatenate([np.roll(x, shift, (1, 2)) for shift in np.ndindex(6, 6)])
    sampled, _ = jax.device_get(adaptive(moved, strides, order))
    plain = np.asarray(components_of(moved, strides))[:, 0]
    assert all(is_a_shift_of(z, sampled[0]) for z in sampled)
    kept = [is_a_shift_of(z, plain[0]) for z in plain]
    # Negative control: a stride keeps the same component only for its own multiples.
    rows, columns = strides if isinstance(strides, tuple) else (strides, strides)
    assert sum(kept) == 36 // (rows * columns)


@pytest.mark.fast
@pytest.mark.parametrize("scale", [1e-2, 1e20])
def test_no_power_of_the_norm_is_too_small_or_large_to_tell_components_apart(scale):
    x = np.float32(scale) * normal(0, 1, 4, 4, 1)
    _, index = adaptive(x, order=30)
    _, moved = adaptive(np.roll(x, (1, 1), (1, 2)), order=30)
    # Component 2 i + j begins at (i, j): the one chosen is the other one on both axes.
    np.testing.assert_array_equal(moved, 3 - np.asarray(index))


def test_one_index_keeps_two_branches_together():
    x, other = normal(0, 3, 4, 4, 2), normal(1, 3, 4, 4, 5)
    z, index = jax.device_get(adaptive(x))
    np.testing.assert_array_equal(component_of(x, index), z)
    total = z.sum(-1) + np.sum(component_of(other, index), -1)
    moved, moved_index = jax.device_get(adaptive(np.roll(x, (1, 3), (1, 2))))
    moved_other = np.asarray(component_of(np.roll(other, (1, 3), (1, 2)), moved_index))
    for image, image_moved in zip(total, moved.sum(-1) + moved_other.sum(-1), strict=True):
        assert is_a_shift_of(image, image_moved)


@pytest.mark.fast
def test_max_pooling_is_not_shift_equivariant():
    x = normal(0, 1, 6, 6, 1)
    both = np.concatenate([x, np.roll(x, 1, 1)])
    z, moved = jax.device_get(jax.jit(lambda x: max_pool(x, 2, strides=2))(both))
    assert not is_a_shift_of(z, moved)


@pytest.mark.fast
def test_weights_of_one_component_give_it_and_mixtures_are_linear():
    x = normal(0, 2, 4, 4, 3)
    mixed = jax.jit(mixed_polyphase)
    components = np.asarray(components_of(x, 2))
    one_hot = np.eye(4, dtype=np.float32)[[2, 0]]
    expected = np.stack([components[0, 2], components[1, 0]])
    np.testing.assert_array_equal(mixed(x, one_hot), expected)
    halves = np.full((2, 4), 0.25, np.float32)
    np.testing.assert_allclose(mixed(x, halves), components.mean(1), atol=1e-6)


@pytest.mark.fast
def test_derivatives_leading_axes_and_types():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(2, 4, 4, 2))
        check_derivatives(lambda x: jnp.sin(adaptive_polyphase(x)[0]), x)
    x = normal(0, 2, 3, 4, 4, 2)
    z, index = adaptive(x, strides=(2, 2))
    assert (z.shape, index.shape, index.dtype) == ((2, 3, 2, 2, 2), (2, 3), jnp.int32)
    half = jax.eval_shape(adaptive_polyphase, x[0].astype(jnp.bfloat16))
    assert half[0].dtype == jnp.bfloat16
    mapped = jax.jit(jax.vmap(lambda each: adaptive_polyphase(each)[0]))
    np.testing.assert_array_equal(mapped(x), z)


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
