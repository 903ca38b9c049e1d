"""The chain is the network, and has the symmetry that its layers have."""

import jax
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
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 8, 8, 1)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)["params"]

    def drawn(leaf):
        """Of about the initial size, and biases that are not zero."""
        scale = (leaf.size / leaf.shape[-1]) ** -0.5 if len(leaf.shape) > 1 else 0.1
        return (scale * random.normal(size=leaf.shape)).astype(np.float32)

    return model, jax.tree.map(drawn, shapes), x


def chained(model, params):
    """The layers one after the other, and the network, in one program."""

    @jax.jit
    def both(params, x):
        z = x
        for stage in model.chain(params):
            z = stage.layer(z)
        return z, model.apply({"params": params}, x)

    return lambda x: jax.device_get(both(params, x))


@pytest.mark.parametrize("readout", ["mean", "max"])
@pytest.mark.parametrize("downsampling", KINDS)
def test_the_layers_one_after_the_other_are_the_network(downsampling, readout):
    activation = "polynomial" if downsampling == "ideal" else "relu"
    model, params, x = made(downsampling=downsampling, activation=activation, readout=readout)
    z, whole = chained(model, params)(x)
    np.testing.assert_array_equal(z, whole)
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
        change = jax.jit(lambda x, f=f: lie_derivative(f, x, translation(1), unchanged))(x)
        derivatives[downsampling, activation] = np.linalg.norm(change)
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

    @jax.jit
    def read_out(x):
        for stage in stages[:-1]:
            x = stage.layer(x)
        return x, stages[-1].layer(x), classifier(x.max((1, 2)))

    below, maxima, logits = jax.device_get(read_out(x))
    np.testing.assert_array_equal(maxima, below.max((1, 2)))
    assert logits.shape == (2, 4)
    assert name == "classifier"


def test_only_the_learnable_downsampling_is_random_in_training():
    keys = [jax.random.key(0), jax.random.key(1)]
    for downsampling in ("max", "learnable"):
        model, params, x = made(downsampling=downsampling)
        drawn = jax.jit(
            lambda key, model=model, params=params, x=x: model.apply(
                {"params": params}, x, train=True, rngs={"dropout": key}
            )
        )
        one, other = map(drawn, keys)
        assert (downsampling == "learnable") == (not np.array_equal(one, other))
    assert set(params) == {"conv1", "conv2", "polyphase1", "polyphase2", "classifier"}


@pytest.mark.parametrize("field", ["activation", "downsampling", "readout", "border"])
def test_an_unknown_kind_is_named(field):
    with pytest.raises(ValueError, match=f"`{field}` must be one of .* got 'none'"):
        made(**{field: "none"})


def test_sizes_that_cannot_be_halved_are_named():
    with pytest.raises(ValueError, match=r"multiples of 4 for 2 halvings, got \(8, 6\)"):
        ChainNet(4, features=(4, 6)).init(jax.random.key(0), np.ones((1, 8, 6, 1), np.float32))


@pytest.mark.parametrize("downsampling", ["max", "strided", "blur", "adaptive", "learnable"])
def test_zeros_beyond_the_border_are_seen(downsampling):
    """The image with zeros around it, in a circular network, wherever only the first layer sees."""
    model, params, x = made(downsampling=downsampling, border="zero")
    wide = np.pad(x, ((0, 0), (0, 8), (0, 8), (0, 0)))
    circular = jax.jit(model.clone(border="circular").chain(params)[0].layer)
    first = np.asarray(jax.jit(model.chain(params)[0].layer)(x))
    assert first.shape[1:3] == ((4, 4) if downsampling == "strided" else (8, 8))
    size = first.shape[1]
    np.testing.assert_allclose(first, np.asarray(circular(wide))[:, :size, :size], atol=1e-5)
    assert np.abs(first - circular(x)).max() > 1e-3
    z, whole = chained(model, params)(x)
    np.testing.assert_array_equal(z, whole)
    assert z.shape == (2, 4)


def test_a_residual_block_by_hand():
    model, params, x = made(residual=True, activation="relu", downsampling="max")

    def convolved(x, p):
        shifts = [np.roll(x, (1 - a, 1 - b), (1, 2)) for a in range(3) for b in range(3)]
        kernel = p["kernel"].reshape(9, *p["kernel"].shape[2:])
        return np.einsum("kbhwc,kco->bhwo", shifts, kernel) + p["bias"]

    z = x
    for number in (1, 2):
        first, second = params[f"conv{number}"], params[f"conv{number}_sum"]
        shortcut = z @ first["projection"]["kernel"][0, 0]
        hidden = np.maximum(convolved(z, first["conv"]), 0)
        z = np.maximum(convolved(hidden, second["conv"]) + shortcut, 0)
        z = z.reshape(2, z.shape[1] // 2, 2, z.shape[2] // 2, 2, -1).max((2, 4))
    weights = params["classifier"]
    expected = z.mean((1, 2)) @ weights["kernel"] + weights["bias"]
    one_by_one, found = chained(model, params)(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(one_by_one, found)
    assert [stage.kind for stage in model.stages()][:4] == [
        "convolution", "nonlinearity", "convolution", "nonlinearity",
    ]  # fmt: skip
