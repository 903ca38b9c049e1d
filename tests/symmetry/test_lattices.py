"""Lattices of layers alone, and errors on and off a lattice, worked out by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import errors_by_lattice, layer_lattices


def every_second(x, gain):
    return gain * x[:, ::2, ::2]


def alternating(x, gain):
    """Weights that differ between even and odd columns: tile 2 of the second axis."""
    return gain * x * (1 + jnp.arange(x.shape[2]) % 2)[None, None, :, None]


def mean(x, gain):
    return gain * x.mean((1, 2))


def test_each_layer_is_measured_on_its_own_input():
    """From the image, `alternating` would have the step 4: alone, after the stride, it has 2."""
    found = layer_lattices([every_second, alternating, mean], (2, 8, 8, 1), jnp.float32(3))
    assert found == [(2, 2), (1, 2), (1, 1)]
    # A weight for each row of four: no shift but by the size of the axis.
    unshared = lambda x, gain: x * jnp.arange(4.0)[None, :, None, None]
    found = layer_lattices([every_second, unshared], (2, 8, 8, 1), jnp.float32(3))
    assert found == [(2, 2), (4, 1)]


def test_the_tolerance_is_that_of_the_caller():
    def nearly(x):
        return x * (1 + 1e-3 * (jnp.arange(4) % 2))[None, :, None]

    assert layer_lattices([nearly], (1, 4, 1)) == [(2,)]
    assert layer_lattices([nearly], (1, 4, 1), tolerance=0.1) == [(1,)]


def test_errors_on_and_off_a_lattice_by_hand():
    errors = np.array([[0.0, 3.0, 0.25, 5.0], [1.0, 2.0, 3.0, 4.0]])
    assert errors_by_lattice(errors, (2, 2)) == (0.25, pytest.approx((3 + 5 + 1 + 2 + 3 + 4) / 6))
    assert errors_by_lattice(errors, (1, 2)) == (3.0, pytest.approx((3 + 5 + 2 + 4) / 4))
    assert errors_by_lattice(errors, (1, 1)) == (5.0, None)


def test_errors_of_several_networks_count_together():
    errors = np.array([[[0.0, 1.0]], [[0.5, 2.0]]])
    assert errors_by_lattice(errors, (1, 2)) == (0.5, 1.5)
    with pytest.raises(ValueError, match=r"axis for each step of \(1, 2\), got shape \(2,\)"):
        errors_by_lattice(errors[0, 0], (1, 2))
