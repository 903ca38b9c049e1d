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

KINDS = ["max", "average", "strided", "blur", "adaptive", "learnable", "ideal"]


def made(**fields):
    model = ChainNet(4, features=(4, 6), **fields)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
    return model, model.init(jax.random.key(0), x)["params"], x


@pytest.mark.parametrize("readout", ["mean", "max"])
@pytest.mark.parametrize("downsampling", KINDS)
def test_the_layers_one_after_the_other_are_the_network(downsampling, readout):
    activation = "polynomial" if downsampling == "ideal" else "relu"
    model, params, x = made(downsampling=downsampling, activation=activation, readout=readout)
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


@pytest.mark.parametrize(
    ("downsampling", "expected"),
    [("max", (2, 2)), ("average", (4, 4)), ("adaptive", (1, 1)), ("learnable", (1, 1))],
)
def test_the_maximum_over_all_positions_breaks_no_symmetry(downsampling, expected):
    """The maximum of the maxima of 2 x 2 is that of all positions: the last halving breaks none."""
    model, params, x = made(downsampling=downsampling, readout="max")
    f = lambda x: model.apply({"params": params}, x)
    assert translation_lattice(f, (2, 8, 8, 1)) == expected
    *stages, (name, _, classifier) = model.chain(params)
    assert [stage.name for stage in stages][-1] == "max"
    for stage in stages[:-1]:
        x = stage.layer(x)
    np.testing.assert_array_equal(stages[-1].layer(x), x.max((1, 2)))
    assert classifier(x.max((1, 2))).shape == (2, 4)
    assert name == "classifier"


def test_only_the_learnable_downsampling_is_random_in_training():
    keys = [jax.random.key(0), jax.random.key(1)]
    for downsampling in ("max", "learnable"):
        model, params, x = made(downsampling=downsampling)
        one, other = (
            model.apply({"params": params}, x, train=True, rngs={"dropout": key}) for key in keys
        )
        assert (downsampling == "learnable") == bool(jnp.any(one != other))
    assert set(params) == {"conv1", "conv2", "polyphase1", "polyphase2", "classifier"}


@pytest.mark.parametrize("field", ["activation", "downsampling", "readout", "border"])
def test_an_unknown_kind_is_named(field):
    with pytest.raises(ValueError, match=f"`{field}` must be one of .* got 'none'"):
        made(**{field: "none"})


def test_sizes_that_cannot_be_halved_are_named():
    with pytest.raises(ValueError, match=r"multiples of 4 for 2 halvings, got \(8, 6\)"):
        ChainNet(4, features=(4, 6)).init(jax.random.key(0), jnp.ones((1, 8, 6, 1)))


@pytest.mark.parametrize("downsampling", ["max", "strided", "blur", "adaptive", "learnable"])
def test_zeros_beyond_the_border_are_seen(downsampling):
    """The image with zeros around it, in a circular network, wherever only the first layer sees."""
    model, params, x = made(downsampling=downsampling, border="zero")
    wide = jnp.pad(x, ((0, 0), (0, 8), (0, 8), (0, 0)))
    circular = model.clone(border="circular").chain(params)
    first, *_ = model.chain(params)
    assert first.layer(x).shape[1:3] == ((4, 4) if downsampling == "strided" else (8, 8))
    size = first.layer(x).shape[1]
    around = circular[0].layer(wide)[:, :size, :size]
    np.testing.assert_allclose(first.layer(x), around, atol=1e-5)
    assert np.abs(first.layer(x) - circular[0].layer(x)).max() > 1e-3
    z = x
    for stage in model.chain(params):
        z = stage.layer(z)
    np.testing.assert_array_equal(z, model.apply({"params": params}, x))
    assert z.shape == (2, 4)


def test_a_residual_block_by_hand():
    model, params, x = made(residual=True, activation="relu", downsampling="max")

    def convolved(x, p):
        kernel = np.asarray(p["kernel"])
        shifts = [np.roll(x, (1 - a, 1 - b), (1, 2)) for a in range(3) for b in range(3)]
        return np.einsum("kbhwc,kco->bhwo", shifts, kernel.reshape(9, *kernel.shape[2:])) + (
            np.asarray(p["bias"])
        )

    z = np.asarray(x)
    for number in (1, 2):
        first, second = params[f"conv{number}"], params[f"conv{number}_sum"]
        shortcut = z @ np.asarray(first["projection"]["kernel"])[0, 0]
        hidden = np.maximum(convolved(z, first["conv"]), 0)
        z = np.maximum(convolved(hidden, second["conv"]) + shortcut, 0)
        z = z.reshape(2, z.shape[1] // 2, 2, z.shape[2] // 2, 2, -1).max((2, 4))
    weights = jax.tree.map(np.asarray, params["classifier"])
    expected = z.mean((1, 2)) @ weights["kernel"] + weights["bias"]
    found = model.apply({"params": params}, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    chained = x
    for stage in model.chain(params):
        chained = stage.layer(chained)
    np.testing.assert_array_equal(chained, found)
    assert [stage.kind for stage in model.stages()][:4] == [
        "convolution", "nonlinearity", "convolution", "nonlinearity",
    ]  # fmt: skip
