"""Gabor functions are found again, noise is not taken for one."""

import numpy as np
import pytest

from cnnjax import ops
from cnnjax.inspect import fit_gabor, gabor_features

CASES = [
    {"beta_x": 0.1, "beta_y": 0.05, "frequency": 1.0, "phase": 0.5, "x0": 0.4, "tau": 0.3},
    {"beta_x": 0.05, "beta_y": 0.08, "frequency": 1.5, "phase": -1.2, "y0": -0.7, "tau": 2.0},
    {"beta_x": 0.08, "beta_y": 0.08, "frequency": 0.8, "phase": 2.0, "alpha": 3.0},
]


@pytest.mark.parametrize("parameters", CASES)
def test_the_parameters_of_a_gabor_function_are_found_again(parameters):
    kernel = ops.gabor_kernel(11, **parameters)
    found = fit_gabor(kernel)
    assert found.r_squared > 0.999
    again = found._asdict()
    del again["r_squared"]
    # Parameters of a wave are told only up to its symmetries: compare what they draw.
    np.testing.assert_allclose(ops.gabor_kernel(11, **again), kernel, atol=0.03)
    np.testing.assert_allclose(found.frequency, parameters["frequency"], rtol=0.03)
    np.testing.assert_allclose(found.tau, parameters.get("tau", 0.0), atol=0.03)


def test_noise_is_no_gabor_function():
    bank = np.random.default_rng(0).normal(size=(11, 11, 1, 3))
    assert max(fit.r_squared for fit in gabor_features(bank)) < 0.4


@pytest.mark.parametrize(
    ("call", "shape"),
    [(fit_gabor, (2, 5)), (fit_gabor, (5,)), (gabor_features, (5, 5, 1))],
)
def test_wrong_shapes_are_named(call, shape):
    with pytest.raises(ValueError, match="got shape"):
        call(np.zeros(shape))
