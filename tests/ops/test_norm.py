"""Local response normalisation against a NumPy loop, in one to three dimensions of space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from tests.ops.jaxprs import equations


def by_loop(x, radius, bias, alpha, beta):
    x = np.asarray(x, np.float64)
    z = np.zeros_like(x)
    channels = x.shape[-1]
    for c in range(channels):
        near = [d for d in range(channels) if abs(d - c) <= radius]
        z[..., c] = x[..., c] / (bias + alpha * sum(x[..., d] ** 2 for d in near)) ** beta
    return z


@pytest.mark.fast
@pytest.mark.parametrize(
    ("space", "radius", "beta"), [((5,), 2, 0.75), ((3, 4), 9, 0.5), ((2, 3, 2), 1, 0.6)], ids=str
)
def test_it_is_the_formula(space, radius, beta):
    x = np.random.default_rng(0).normal(size=(2, *space, 7)).astype(np.float32)
    settings = {"radius": radius, "bias": 1.5, "alpha": 0.7, "beta": beta}
    normalize = jax.jit(lambda x: ops.local_response_normalization(x, **settings))
    np.testing.assert_allclose(normalize(x), by_loop(x, **settings), rtol=3e-6)


def test_its_gradient_is_the_quotient_of_differences():
    x = np.random.default_rng(1).normal(size=(1, 6))
    settings = {"radius": 2, "bias": 1.0, "alpha": 0.5, "beta": 0.75}
    gradient = jax.grad(lambda x: ops.local_response_normalization(x, **settings).sum())
    step = 1e-5
    differences = [
        (by_loop(x + e, **settings).sum() - by_loop(x - e, **settings).sum()) / (2 * step)
        for e in np.eye(6)[:, None] * step
    ]
    np.testing.assert_allclose(
        gradient(jnp.asarray(x, jnp.float32))[0], differences, rtol=1e-4, atol=1e-6
    )


def test_derivatives_of_the_gradient_and_its_cost():
    """Forward over reverse, against differences of the formula's gradient

        dx = g p - 2 alpha beta x window(g x p / total),  p = total^-beta

    which takes two windows, not a padded copy of g for each neighbour.
    """
    settings = {"radius": 2, "bias": 1.0, "alpha": 0.5, "beta": 0.75}

    def gradient(x):
        return jax.grad(lambda x: ops.local_response_normalization(x, **settings).sum())(x)

    def by_hand(x):
        near = abs(np.subtract.outer(range(6), range(6))) <= 2
        total = 1 + 0.5 * x**2 @ near
        p = total**-0.75
        return p - 0.75 * x * ((x * p / total) @ near)

    x, dx = np.random.default_rng(2).normal(size=(2, 3, 6))
    found = jax.jit(jax.vmap(lambda x, dx: jax.jvp(gradient, (x,), (dx,))))(
        jnp.asarray(x, jnp.float32), jnp.asarray(dx, jnp.float32)
    )
    moved = (by_hand(x + 1e-5 * dx) - by_hand(x - 1e-5 * dx)) / 2e-5
    np.testing.assert_allclose(found[0], by_hand(x), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], moved, rtol=1e-4, atol=1e-5)
    traced = jax.make_jaxpr(gradient)(jnp.zeros((2, 6))).jaxpr
    assert sum(equation.primitive.name == "pad" for equation in equations(traced)) <= 2


@pytest.mark.fast
def test_bad_settings_are_named():
    x = jnp.zeros((1, 3))
    with pytest.raises(ValueError, match="bias 0"):
        ops.local_response_normalization(x, bias=0)
    with pytest.raises(ValueError, match="radius must be at least 1, got -1"):
        ops.local_response_normalization(x, radius=-1)
