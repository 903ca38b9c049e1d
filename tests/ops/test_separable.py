"""Separable kernels: an axis at a time is the whole window, and the nearest factors are nearest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops


@pytest.mark.parametrize(
    ("space", "lengths", "strides", "padding"),
    [
        ((8, 7), (3, 5), (2, 1), "SAME"),
        ((6, 6), (3, 3), 1, ((1, 2), (0, 1))),
        ((4, 5, 6), (2, 3, 3), 2, "CIRCULAR"),
    ],
    ids=str,
)
def test_an_axis_at_a_time_is_the_outer_product(space, lengths, strides, padding):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.integers(-5, 6, (2, *space, 3)), jnp.float32)
    factors = [random.integers(-3, 4, length).astype(np.float32) for length in lengths]
    whole = factors[0]
    for factor in factors[1:]:
        whole = np.multiply.outer(whole, factor)
    options = {"strides": strides, "padding": padding}
    kernel = jnp.tile(jnp.asarray(whole)[..., None, None], 3)

    @jax.jit
    def both(x):
        direct = ops.conv(x, kernel, feature_group_count=3, **options)
        return ops.separable_conv(x, factors, **options), direct

    ours, direct = both(x)
    np.testing.assert_array_equal(ours, direct)


@pytest.mark.fast
def test_known_kernels_that_factor_and_one_that_does_not():
    for kernel in (ops.box_kernel(5), ops.gaussian_kernel(7, 1.3), ops.sobel_kernel(0)):
        assert ops.is_separable(kernel)
        rows, columns = ops.separable_factors(kernel)
        np.testing.assert_allclose(np.outer(rows, columns), kernel, atol=1e-6)
    assert not ops.is_separable(ops.laplacian_kernel())
    assert not ops.is_separable(ops.sobel_kernel(0) + ops.sobel_kernel(1))
    assert ops.is_separable(ops.laplacian_kernel(), tolerance=1.0)


@pytest.mark.fast
def test_no_other_factors_are_nearer():
    """By hand: [[3, 0], [0, 1]] is nearest to [[3, 0], [0, 0]]; and no small change helps."""
    rows, columns = ops.separable_factors(np.array([[3.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(np.outer(rows, columns), [[3, 0], [0, 0]], atol=1e-6)
    kernel = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    rows, columns = (np.asarray(each) for each in ops.separable_factors(kernel))
    distance = ((np.outer(rows, columns) - kernel) ** 2).sum()
    random = np.random.default_rng(1)
    for size in (1e-1, 1e-2):
        other = np.outer(
            rows + size * random.normal(size=5), columns + size * random.normal(size=4)
        )
        assert ((other - kernel) ** 2).sum() > distance


@pytest.mark.fast
def test_what_is_no_matrix_is_named():
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        ops.separable_factors(np.ones(3))
    with pytest.raises(ValueError, match=r"each a vector, got shapes \[\(2, 2\)\]"):
        ops.separable_conv(jnp.ones((1, 4, 1)), [np.ones((2, 2))])
