"""Lie derivatives of waves and of layers, in closed form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.symmetry import (
    estimated_layer_errors,
    layer_terms,
    lie_derivative,
    local_equivariance_error,
    rotation,
    scaling,
    shearing,
    term_products,
    translation,
    unchanged,
)

SIZE = 16
POSITION = np.arange(SIZE)


def wave(cycles):
    return np.cos(2 * np.pi * cycles * POSITION / SIZE)[None, :, None]


def square(x):
    return x**2


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def derivative_of(f, x, action, action_out=unchanged):
    """`lie_derivative` as one program."""
    return lie_derivative(f, x, action, action_out)


@functools.partial(jax.jit, static_argnums=(0, 2))
def errors_of(functions, x, action):
    """`local_equivariance_error` of each, given as (f, action_out)."""
    return [local_equivariance_error(f, x, action, action_out) for f, action_out in functions]


MOVE = translation(0)


@pytest.mark.parametrize("cycles", [1, 3])
def test_squaring_a_slow_wave_commutes_with_translation(cycles):
    """cos^2 has twice the frequency, which the grid still holds."""
    with jax.enable_x64(True):
        derivative = derivative_of(square, wave(cycles), MOVE, MOVE)
        np.testing.assert_allclose(derivative, 0, atol=1e-12)


@pytest.mark.parametrize("cycles", [5, 6, 7])
def test_squaring_a_fast_wave_aliases_by_the_amount_that_theory_says(cycles):
    """cos^2 = 1/2 + cos(2 pi 2k p / N) / 2, and 2k > N/2 is seen as a = N - 2k.

    Moving the input by t moves that wave's phase by 2 pi 2k t, while moving the output moves it by
    -2 pi a t: together 2 pi N t, so that the derivative is -(2 pi N / 2) sin(2 pi a p / N) in size.
    """
    with jax.enable_x64(True):
        derivative = np.asarray(derivative_of(square, wave(cycles), MOVE, MOVE))[0, :, 0]
        alias = SIZE - 2 * cycles
        # cos(2 pi 2k (p/N - t)) = cos(2 pi a p / N + 2 pi 2k t) on the grid; the output's action by
        # -t takes p/N to p/N + t: cos(2 pi a p / N + 2 pi (a + 2k) t).
        expected = -np.pi * SIZE * np.sin(2 * np.pi * alias * POSITION / SIZE)
        np.testing.assert_allclose(derivative, expected, atol=1e-9)


def images(*shape, dtype=np.float32):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def kernel(*shape):
    return np.random.default_rng(1).normal(size=shape)


def test_the_error_is_a_mean_over_outputs_by_hand():
    """A wave moved by a part t of its size has the slope 2 pi sin, whose square is 2 pi^2."""
    with jax.enable_x64(True):
        wave = np.cos(2 * np.pi * np.arange(8.0) / 8).reshape(1, 8, 1)
        functions = ((lambda x: x, unchanged), (lambda x: jnp.tile(x, (1, 1, 3)), unchanged))
        error, twice = errors_of(functions, wave, MOVE)
        np.testing.assert_allclose(error, 2 * np.pi**2, rtol=1e-12)
        np.testing.assert_allclose(twice, error, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_circular_convolution_commutes_and_a_strided_or_local_one_does_not(axis):
    with jax.enable_x64(True):
        x, k, move = images(2, 8, 8, 2, dtype=float), kernel(3, 3, 2, 2), translation(axis)
        convolve = lambda x: ops.conv(x, k, padding="CIRCULAR")
        strided = lambda x: ops.conv(x, k, padding="CIRCULAR", strides=2)
        bank = kernel(8, 8, 3, 3, 2, 2)
        local = lambda x: ops.local_conv(x, bank, padding="CIRCULAR")
        functions = ((lambda x: x, unchanged), (convolve, move), (strided, move), (local, move))
        size, *errors = map(float, errors_of(functions, x, move))
        assert errors[0] < 1e-20 * size
        assert errors[1] > 0.1 * size
        assert errors[2] > 0.1 * size


def test_an_invariant_function_has_none_and_a_pixel_has_its_slope():
    with jax.enable_x64(True):
        x = wave(2)
        mean = lambda x: x.mean((1, 2))[:, None]
        np.testing.assert_allclose(derivative_of(mean, x, MOVE), 0, atol=1e-12)
        # d/dt of cos(2 pi 2 (p/N - t)) at p = 1.
        pixel = derivative_of(lambda x: x[:, 1], x, MOVE)
        np.testing.assert_allclose(pixel, 4 * np.pi * np.sin(4 * np.pi / SIZE), rtol=1e-9)


@pytest.mark.parametrize(
    ("action", "field"),
    [
        # Vector fields of the motions, as (down, right) at (down, right) from the centre.
        (rotation, lambda d, r: (-r, d)),
        (scaling, lambda d, r: (d, r)),
        (shearing, lambda d, r: (0 * d, d)),
    ],
)
def test_actions_move_a_bell_along_their_fields(action, field):
    """d/dt x(g^-1 p) = -field . gradient of x."""
    with jax.enable_x64(True):
        down, right = np.indices((33, 33)) - 16.0
        bell = np.exp(-((down - 3) ** 2 + (right - 2) ** 2) / 18)
        slopes = -(down - 3) / 9 * bell, -(right - 2) / 9 * bell
        expected = -sum(f * s for f, s in zip(field(down, right), slopes, strict=True))
        found = np.asarray(derivative_of(lambda x: x, bell[None, ..., None], action))[0, ..., 0]
        # Bicubic slopes are central differences: off by f''' / 6, a twentieth for width 3.
        np.testing.assert_allclose(found, expected, atol=0.06 * np.abs(expected).max())


def chain():
    """Layers that are each one program; of equal channels, so that actions on them are few."""
    first, second = kernel(3, 3, 2, 2), 2 * kernel(3, 3, 2, 2)[::-1]
    head = kernel(2, 5)
    layers = [
        lambda x: ops.conv(x, first, padding="SAME"),
        jax.nn.gelu,
        lambda x: ops.max_pool(x, (2, 2), strides=2),
        lambda x: ops.conv(x, second, padding="CIRCULAR"),
        jnp.tanh,
        lambda x: x.mean((1, 2)) @ head,
    ]
    return [jax.jit(layer) for layer in layers]


@pytest.mark.parametrize(
    ("action", "ground"),
    [
        (translation(1), False),
        (translation(0), True),
        (rotation, True),
        (scaling, False),
        (shearing, False),
    ],
)
def test_terms_of_layers_sum_to_the_whole(action, ground):
    """Also on a flat ground, where the largest of equal entries is a matter of choice."""
    with jax.enable_x64(True):
        x, layers = images(3, 8, 8, 2, dtype=float), chain()
        if ground:
            x[:, 3:] = 0.5
        compiled = jax.jit(action)
        terms = jax.device_get(layer_terms(layers, x, [compiled] * 6 + [unchanged]))

        def whole(x):
            for layer in layers:
                x = layer(x)
            return x

        expected = np.asarray(lie_derivative(whole, x, compiled))
        assert np.abs(expected).max() > 1e-3
        error = np.linalg.norm(sum(terms) - expected) / np.linalg.norm(expected)
        assert error < 1e-5
        # The circular convolution commutes with circular translation and adds nothing.
        if action not in (rotation, scaling, shearing):
            assert np.abs(terms[3]).max() < 1e-10 * np.abs(expected).max()
            assert np.abs(terms[2]).max() > 1e-3 * np.abs(expected).max()


def test_random_projections_estimate_the_size_of_every_term():
    with jax.enable_x64(True):
        x, layers = images(4, 8, 8, 2, dtype=float), chain()
        actions = [translation(0)] * 6 + [unchanged]
        samples = 400

        @jax.jit
        def both(x):
            key = jax.random.key(0)
            estimate = estimated_layer_errors(layers, x, actions, key, samples)
            return layer_terms(layers, x, actions), estimate

        terms, estimate = jax.device_get(both(x))
        exact = np.array([np.mean(np.sum(term**2, axis=1)) for term in terms])
        # The square of a normal number has twice its variance squared: four standard errors.
        np.testing.assert_allclose(estimate, exact, rtol=4 * np.sqrt(2 / samples), atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: layer_terms([square], x, [unchanged]), "must be 2 for 1 layers"),
        (
            lambda x: estimated_layer_errors([square], x, [unchanged] * 2, jax.random.key(0), 0),
            "got 0",
        ),
        (lambda x: lie_derivative(square, x[..., None], translation(-1)), "0 to 1, got -1"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(images(1, 4, 1))


def test_products_of_terms_tell_cancellation_from_agreement():
    """Terms (3, 0), (-2, 1) and (0, 1) sum to (1, 2), of squared norm 5."""
    terms = [np.float32([[3, 0]]), np.float32([[-2, 1]]), np.float32([[0, 1]])]
    found = jax.jit(
        lambda *terms: [
            term_products(terms),
            term_products(terms[:1] * 4),
            term_products([terms[0], terms[2]]),
        ]
    )
    products, equal, orthogonal = jax.device_get(found(*terms))
    expected = np.array([[9, -6, 0], [-6, 5, 1], [0, 1, 1]]) / 5
    np.testing.assert_allclose(products, expected, rtol=1e-6)
    np.testing.assert_allclose(products.sum(), 1, rtol=1e-6)
    # Cancelling terms have a trace above 1, equal ones of n layers 1 / n, orthogonal ones 1.
    np.testing.assert_allclose(np.trace(products), 3, rtol=1e-6)
    np.testing.assert_allclose(np.trace(equal), 1 / 4, rtol=1e-6)
    np.testing.assert_allclose(np.trace(orthogonal), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="at least one array"):
        term_products([])
