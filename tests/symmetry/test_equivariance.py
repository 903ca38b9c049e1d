"""Measures of equivariance against cases known in closed form, each with a negative control."""

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.symmetry import (
    INDEPENDENT,
    assert_equivariant,
    equivariance_error,
    equivariance_pair,
    errors_over_shifts,
    lattice_of_errors,
    on_lattice,
    rotate90,
    shift,
    translate_output,
    translation_lattice,
)


def image(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_one(x):
    return shift(x, (0, 1))


@pytest.mark.fast
def test_the_error_is_its_definition_on_a_hand_worked_case():
    """f multiplies by [1, 2, 2]; S_1 x = [3, 1, 2] of x = [1, 2, 3]."""
    f = lambda x: x * jnp.array([1.0, 2.0, 2.0])[None, :, None]
    x = jnp.array([1.0, 2.0, 3.0])[None, :, None]
    g = lambda x: shift(x, (1,))
    pair = equivariance_pair(f, g, g, x)
    np.testing.assert_array_equal(pair[0][0, :, 0], [3, 2, 4])
    np.testing.assert_array_equal(pair[1][0, :, 0], [6, 1, 4])
    expected = np.sqrt((3**2 + 1) / (1 + 16 + 36))
    assert float(equivariance_error(f, g, g, x)) == pytest.approx(expected, rel=1e-6)


def test_unrelated_outputs_are_at_the_square_root_of_two():
    positions = image(1, 64, 64, 8)
    error = equivariance_error(
        lambda x: x * 0 + positions, jnp.zeros_like, by_one, np.zeros((1, 64, 64, 8))
    )
    assert float(error) == pytest.approx(INDEPENDENT, rel=0.02)  # 32,768 numbers


def test_assert_equivariant_accepts_symmetry_and_names_its_breach():
    x = image(1, 4, 4, 1)
    assert_equivariant(jnp.square, rotate90, rotate90, x)
    breach = lambda x: jnp.asarray(x).at[0, 1, 2, 0].add(1.0)
    with pytest.raises(AssertionError, match=r"not equivariant.* at \(0, 1, [23], 0\)"):
        assert_equivariant(breach, by_one, by_one, x)
    with pytest.raises(AssertionError, match="shape"):
        assert_equivariant(lambda x: x[:, :3], by_one, rotate90, x)


def every_second(x):
    return x[:, ::2, ::2]


def mean_of_every_third(x):
    return (x[:, ::3] ** 2).mean((1, 2))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("f", "lattice"),
    [
        (jnp.sin, (1, 1)),
        (every_second, (2, 2)),
        (mean_of_every_third, (3, 1)),
        (lambda x: x * (1 + jnp.arange(6.0) % 3)[None, :, None, None], (3, 1)),
        (lambda x: x * jnp.arange(6.0)[None, None, :, None], (1, 6)),
        (lambda x: x.mean((1, 2)), (1, 1)),
        (lambda x: x[:, 0, 0], (6, 6)),
    ],
)
def test_lattices_known_in_closed_form(f, lattice):
    assert translation_lattice(f, (2, 6, 6, 1)) == lattice


def test_lattices_in_one_and_three_dimensions():
    assert translation_lattice(lambda x: x[:, ::4], (2, 8, 1)) == (4,)
    assert translation_lattice(lambda x: x[:, :, ::2], (2, 2, 4, 3, 1)) == (1, 2, 1)


def test_errors_over_shifts_are_the_errors_of_each_shift():
    weights = image(6, 4, 1)

    def f(x, gain):
        return {"map": gain * x * weights[None], "pooled": (x * weights[None]).mean((1, 2))}

    x = image(3, 6, 4, 1, seed=1)
    errors = errors_over_shifts(f, x, 2.0, chunk=7)
    for position in np.ndindex(6, 4):
        g = lambda z, position=position: np.roll(z, position, (1, 2))
        for name, g_out in (("map", g), ("pooled", lambda z: z)):
            expected = equivariance_error(lambda x, name=name: f(x, 2.0)[name], g, g_out, x)
            assert errors[name][position] == pytest.approx(float(expected), abs=1e-6)
    assert errors["map"][0, 0] == 0
    assert errors["map"][1:].min() > 0.1


def test_a_shift_acts_on_a_coarser_output_by_the_same_fraction():
    z = image(1, 3, 3, 1)
    np.testing.assert_array_equal(translate_output(z, jnp.array([2, 4]), (6, 6)), shift(z, (1, 2)))
    wave = np.cos(2 * np.pi * np.arange(3) / 3)[None, :, None].astype(np.float32)
    between = translate_output(wave, jnp.array([1]), (6,))
    expected = np.cos(2 * np.pi * (np.arange(3) - 0.5) / 3)[None, :, None]
    np.testing.assert_allclose(between, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"\(1, 3, 1\)"):
        translate_output(z[:, :, 0], jnp.array([1, 1]), (6, 6))


@pytest.mark.fast
def test_lattice_of_a_written_map_and_its_mask():
    errors = np.ones((4, 6))
    errors[::2, ::3] = 0
    assert lattice_of_errors(errors) == (2, 3)
    np.testing.assert_array_equal(on_lattice((4, 6), (2, 3)), errors == 0)
    errors[0, 3] = 1e-4
    assert lattice_of_errors(errors) == (2, 6)
    assert lattice_of_errors(errors, tolerance=1e-3) == (2, 3)


def test_a_lattice_needs_every_multiple_of_its_step():
    """Exact at 2 and 6, not at 4: neither 2 nor 4 is a step, only the zero shift is left."""
    errors = np.ones((8, 6))
    errors[::2] = 0
    errors[4] = 1
    assert lattice_of_errors(errors) == (8, 1)
    assert lattice_of_errors(errors.T) == (1, 8)
    errors[4] = 0
    assert lattice_of_errors(errors) == (2, 1)


def test_nothing_is_compiled_again_for_other_arguments():
    traces = []

    def f(x, gain):
        traces.append(x.shape)
        return gain * x

    x = image(1, 4, 4, 1)
    errors_over_shifts(f, x, jnp.float32(1))
    before = len(traces)
    errors_over_shifts(f, x + 1, jnp.float32(2))
    assert len(traces) == before
