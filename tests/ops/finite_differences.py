"""First and second derivatives, by forward and by reverse mode, against finite differences."""

import jax
import numpy as np

STEP, TOLERANCE = 1e-4, 1e-6


def check_derivatives(f, *x, seed=0):
    """Of f, from float64 arrays to one, along random directions; all in one program.

    Of g(t) = f(x + t v), with a random w: jvp(v) = g'(0) and vjp(w) . v = w . g'(0); and the same
    of the jvp and of the vjp of f as functions of x. Central differences err by the step squared
    times third derivatives of order one, 1e-8, and by rounding, 1e-12.
    """
    random = np.random.default_rng(seed)

    def like(structure):
        return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), structure)

    v, across, w = like(x), like(x), like(jax.eval_shape(f, *x))

    def compared(g, x, v, w):
        ahead, behind = (
            g(*(each + t * along for each, along in zip(x, v, strict=True))) for t in (STEP, -STEP)
        )
        slope = jax.tree.map(lambda one, other: (one - other) / (2 * STEP), ahead, behind)
        products = _dot(jax.vjp(g, *x)[1](w), v), _dot(w, slope)
        return (jax.jvp(g, x, v)[1], slope), products

    @jax.jit
    def both_sides(x, v, across, w):
        forward = lambda *x: jax.jvp(f, x, across)[1]
        reverse = lambda *x: jax.vjp(f, *x)[1](w)
        of_f = compared(f, x, v, w)
        return of_f + compared(forward, x, v, w) + compared(reverse, x, v, across)

    for actual, expected in both_sides(x, v, across, w):
        for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            assert one.dtype == np.float64
            largest = np.abs(other).max()
            np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE * max(largest, 1))


def _dot(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return sum((a * b).sum() for a, b in pairs)
