"""The two gradient sums of a strided convolution equal what JAX derives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops

CASES = [
    ((9,), (3,), 2, "VALID", 1),
    ((7, 6), (3, 2), 2, "SAME", 1),
    ((8, 7), (3, 3), (3, 2), ((2, 1), (0, 2)), 2),
    ((4, 5, 4), (2, 2, 2), 2, 1, 1),
]


@pytest.mark.parametrize(("space", "taps", "strides", "padding", "dilation"), CASES, ids=str)
def test_equal_to_autodiff(space, taps, strides, padding, dilation):
    """Whole numbers: the sums are exact, so the two must agree to the last bit."""
    random = np.random.default_rng(0)
    x = jnp.asarray(random.integers(-5, 6, (2, *space, 2)), jnp.float32)
    kernel = jnp.asarray(random.integers(-5, 6, (*taps, 2, 3)), jnp.float32)
    options = {"strides": strides, "padding": padding, "kernel_dilation": dilation}

    @jax.jit
    def both(x, kernel, seed):
        z, back = jax.vjp(lambda x, kernel: ops.conv(x, kernel, **options), x, kernel)
        g = jax.random.randint(seed, z.shape, -5, 6).astype(jnp.float32)
        ours = (
            ops.conv_input_gradient(g, kernel, space, **options),
            ops.conv_kernel_gradient(x, g, taps, **options),
        )
        return back(g), ours

    theirs, ours = both(x, kernel, jax.random.key(0))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
        assert jnp.abs(one).max() > 1


@pytest.mark.fast
def test_what_does_not_fit_is_named():
    x, g = jnp.zeros((2, 8, 1)), jnp.zeros((2, 4, 3))
    with pytest.raises(ValueError, match=r"\(2, 3, 'out'\), got shape \(2, 4, 3\)"):
        ops.conv_kernel_gradient(x, g, (3,), strides=2, padding="VALID")
    with pytest.raises(ValueError, match=r"zero padding only, got 'CIRCULAR'"):
        ops.conv_input_gradient(g, jnp.zeros((3, 1, 3)), (8,), strides=2, padding="CIRCULAR")
