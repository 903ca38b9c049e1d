"""Relaxed and residual layers: sums in loops, an equivariant start, and how they lose it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.layers import (
    RelaxedGroupConv,
    RelaxedLiftingConv,
    ResidualGroupConv,
    ResidualLiftingConv,
)
from cnnjax.testing import variant_checks
from tests.ops.test_group_conv import acted, looped

CASES = {
    "relaxed lifting": (RelaxedLiftingConv, {"banks": 3}, ()),
    "relaxed group": (RelaxedGroupConv, {"banks": 3}, (4,)),
    "residual lifting": (ResidualLiftingConv, {}, ()),
    "residual group": (ResidualGroupConv, {}, (4,)),
}


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def made(name, **more):
    """The layer, its initial parameters, and an input."""
    constructor, arguments, entries = CASES[name]
    layer = constructor(2, 3, padding="VALID", **arguments, **more)
    x = jnp.asarray(normal(0, 2, 5, 5, *entries, 3))
    return layer, layer.init(jax.random.key(1), x)["params"], x


def free_sum(x, free):
    """z[p, g, o] = sum over a and all entries of x[p + a, ...] free[a, ..., g, o], 'VALID'."""
    side, positions = len(free), x.shape[1] - len(free) + 1
    z = np.zeros((len(x), positions, positions, *free.shape[-2:]))
    for row, column, i, j in np.ndindex(positions, positions, side, side):
        entries = x[:, row + i, column + j].reshape(len(x), -1)
        weights = free[i, j].reshape(entries.shape[1], -1)
        z[:, row, column] += (entries @ weights).reshape(len(x), *free.shape[-2:])
    return z


def expected(name, params, x):
    """The output, in loops of NumPy float64."""
    params = {key: np.float64(value) for key, value in params.items()}
    x, kernel = np.float64(x), params["kernel"]
    if "residual" in name:
        return looped(x, kernel, 4) + free_sum(x, params["free"]) + params["bias"]
    mixed = [
        weights[:, None] * looped(x, each, 4)
        for weights, each in zip(params["relaxation"], kernel, strict=True)
    ]
    return sum(mixed) + params["bias"]


@pytest.mark.fast
@pytest.mark.parametrize("name", CASES)
def test_values_are_the_sum_in_loops(name):
    layer, params, x = made(name)
    params = {key: normal(n, *value.shape) for n, (key, value) in enumerate(params.items())}
    found = layer.apply({"params": params}, x)
    np.testing.assert_allclose(found, expected(name, params, x), atol=1e-4)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "moved"),
    [
        (name, "relaxation" if "relaxed" in name else "free")
        for name in CASES
    ],
)  # fmt: skip
def test_it_starts_equivariant_and_loses_that_with_one_weight(name, moved):
    layer, params, x = made(name)
    group = x.shape[-2] if x.ndim == 5 else None

    def worst(params):
        f = functools.partial(layer.apply, {"params": params})
        z = np.asarray(f(x))
        pairs = [
            (f(jnp.asarray(acted(np.asarray(x), g, group))), acted(z, g, 4)) for g in (1, 2, 3)
        ]
        return max(np.abs(one - other).max() for one, other in pairs) / np.abs(z).max()

    assert worst(params) <= 1e-5
    changed = params[moved].at[(0,) * params[moved].ndim].add(1.0)
    assert worst({**params, moved: changed}) > 0.05


@pytest.mark.fast
def test_parameters_and_their_start():
    _, params, _ = made("relaxed group")
    shapes = {"kernel": (3, 3, 3, 4, 3, 2), "relaxation": (3, 4), "bias": (2,)}
    assert jax.tree.map(jnp.shape, params) == shapes
    np.testing.assert_allclose(params["relaxation"], 3**-0.5, rtol=1e-6)
    assert np.abs(params["kernel"][0] - params["kernel"][1]).min() > 0
    _, params, _ = made("residual lifting", group=8)
    shapes = {"kernel": (3, 3, 3, 2), "free": (3, 3, 3, 8, 2), "bias": (2,)}
    assert jax.tree.map(jnp.shape, params) == shapes
    assert not params["free"].any()


@pytest.mark.fast
def test_the_variance_at_the_start_is_that_of_a_convolution():
    x = jnp.asarray(normal(0, 4, 9, 9, 4, 16))
    z, _ = RelaxedGroupConv(64, 3, padding="CIRCULAR", banks=4).init_with_output(
        jax.random.key(1), x
    )
    assert float(z.var()) == pytest.approx(1, rel=0.05)


@pytest.mark.fast
@pytest.mark.parametrize("name", ["residual lifting", "residual group"])
def test_the_prior_is_sown_in_training_and_the_free_kernel_learns_from_zero(name):
    layer, params, x = made(name, prior=0.5)

    def total(params):
        z, sown = layer.apply({"params": params}, x, mutable="losses")
        (prior,) = jax.tree.leaves(sown)
        return z[..., 0, 0].sum(), prior

    filled = {**params, "free": jnp.full_like(params["free"], 0.2)}
    assert total(params)[1] == 0
    assert total(filled)[1] == pytest.approx(0.5 * 0.04 * params["free"].size, rel=1e-4)
    gradient = jax.grad(lambda params: total(params)[0])(params)["free"]
    # Of the one output, and of no other.
    assert np.abs(gradient[..., 0, 0]).min() > 0
    assert not gradient[..., 1:, :].any()


@pytest.mark.parametrize(
    ("constructor", "name"),
    [
        (functools.partial(RelaxedLiftingConv, banks=2), "dtypes"),
        (functools.partial(RelaxedLiftingConv, banks=2), "rotations"),
        (ResidualLiftingConv, "gradients"),
        (ResidualLiftingConv, "rotations"),
    ],
)
def test_public_checks(constructor, name):
    """They add noise to the parameters, which leaves no rotation."""
    (check,) = variant_checks(constructor, only=[name])
    finding = check.finding()
    assert finding.passed, finding.found
    if name == "rotations":
        assert finding.found.startswith("neither rotations nor reflections")


@pytest.mark.fast
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (RelaxedLiftingConv(3, 3, banks=0), "banks must be at least 1, got 0"),
        (ResidualLiftingConv(3, 3, prior=-1.0), "prior must be at least 0, got -1.0"),
        (ResidualLiftingConv(3, 3, prior=float("nan")), "prior must be at least 0, got nan"),
        (RelaxedLiftingConv(3, 3, group=6), "got 6"),
    ],
)
def test_wrong_arguments_are_named(layer, message):
    with pytest.raises(ValueError, match=message):
        layer.init(jax.random.key(0), jnp.ones((1, 5, 5, 1)))
