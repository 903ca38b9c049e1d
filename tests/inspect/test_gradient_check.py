"""Finite differences find wrong derivatives, and only those."""

import jax
import jax.numpy as jnp
import pytest

from cnnjax.inspect import check_gradients

X = jnp.linspace(-1, 1, 12).reshape(3, 4)


@pytest.mark.fast
def test_right_derivatives_pass_in_float64():
    checked = check_gradients(lambda params, x: jnp.tanh(x @ params["w"]), {"w": X.T}, X)
    assert checked.passed
    assert checked.dtype == "float64"
    assert set(checked.errors) == {"[0]['w']", "[1]"}
    assert max(checked.errors.values()) < 1e-8


def test_right_derivatives_pass_in_float32():
    checked = check_gradients(lambda x: jnp.sin(x.astype(jnp.float32)), X)
    assert (checked.dtype, checked.passed) == ("float32", True)


@pytest.mark.fast
def test_a_stopped_gradient_is_an_error_of_one():
    checked = check_gradients(lambda w, x: jax.lax.stop_gradient(w) * x, X, X)
    assert not checked.passed
    assert checked.errors["[0]"] == pytest.approx(1)
    assert checked.errors["[1]"] < 1e-6


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_a_derivative_that_is_off_by_five_percent_is_found(dtype):
    @jax.custom_jvp
    def square(x):
        return x**2

    square.defjvp(lambda primals, tangents: (square(*primals), 2.1 * primals[0] * tangents[0]))
    checked = check_gradients(lambda x: square(x.astype(dtype)), X)
    assert not checked.passed
    assert checked.errors["[0]"] == pytest.approx(0.05, rel=0.05)


def test_a_coarse_type_is_refused():
    with pytest.raises(ValueError, match="got bfloat16"):
        check_gradients(lambda x: x.astype(jnp.bfloat16), X)
