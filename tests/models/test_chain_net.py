"""The chain is the network, and has the symmetry that its layers have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.models import ChainNet
from cnnjax.symmetry import (
    lie_derivative,
    translation,
    translation_lattice,
    unchanged,
)

KINDS = ["max", "average", "strided", "blur", "adaptive", "ideal"]


def made(**fields):
    model = ChainNet(4, features=(4, 6), **fields)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
    return model, model.init(jax.random.key(0), x)["params"], x


@pytest.mark.parametrize("downsampling", KINDS)
def test_the_layers_one_after_the_other_are_the_network(downsampling):
    activation = "polynomial" if downsampling == "ideal" else "relu"
    model, params, x = made(downsampling=downsampling, activation=activation)
    z = x
    for stage in model.chain(params):
        z = stage.layer(z)
    np.testing.assert_array_equal(z, model.apply({"params": params}, x))
    kinds = [stage.kind for stage in model.stages()]
    assert kinds.count("convolution") == kinds.count("nonlinearity") == 2
    assert kinds.count("downsampling") == (0 if downsampling == "strided" else 2)


@pytest.mark.parametrize(
    ("downsampling", "expected"),
    [("max", (4, 4)), ("strided", (4, 4)), ("blur", (2, 2)), ("adaptive", (1, 1))],
)
def test_lattices_are_those_of_the_halvings(downsampling, expected):
    """The mean of every second blurred position is that of all: the last blur breaks nothing."""
    model, params, _ = made(downsampling=downsampling)
    f = lambda x: model.apply({"params": params}, x)
    assert translation_lattice(f, (2, 8, 8, 1)) == expected


def test_only_the_alias_free_chain_ignores_fractions_of_a_pixel():
    derivatives = {}
    for downsampling, activation in (("ideal", "polynomial"), ("ideal", "relu"), ("max", "relu")):
        model, params, x = made(downsampling=downsampling, activation=activation)
        f = lambda x, model=model, params=params: model.apply({"params": params}, x)
        change = lie_derivative(f, x, translation(1), unchanged)
        derivatives[downsampling, activation] = float(jnp.linalg.norm(change))
    assert derivatives["ideal", "polynomial"] < 1e-4
    assert derivatives["ideal", "relu"] > 0.01
    assert derivatives["max", "relu"] > 0.01


@pytest.mark.parametrize("field", ["activation", "downsampling"])
def test_an_unknown_kind_is_named(field):
    with pytest.raises(ValueError, match=f"{field} must be one of .* got 'none'"):
        made(**{field: "none"})
