"""The network that keeps rotations by 90 degrees, may give them up, or does not know them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.models import OrientationNet
from cnnjax.symmetry import cyclic, rotate90

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8, 1)), jnp.float32)


def made(**arguments):
    """A network with two layers, and its variables."""
    model = OrientationNet(5, features=(2, 3), **arguments)
    variables = model.init(jax.random.key(0), X)
    return model, {name: variables[name] for name in ("params", "batch_stats")}


@pytest.mark.parametrize(
    ("layers", "readout", "equivariant", "invariant", "weights"),
    [
        # 9 x 1 x 2 + 9 x 2 x 3 times the elements of the group, 4 of them read, where they are.
        ("group", "invariant", True, True, 9 * 2 + 9 * 4 * 2 * 3 + 3 * 5),
        ("group", "free", True, False, 9 * 2 + 9 * 4 * 2 * 3 + 12 * 5),
        ("relaxed", "invariant", True, True, 2 * (9 * 2 + 9 * 4 * 2 * 3 + 4 + 4) + 3 * 5),
        ("residual", "invariant", True, True, 5 * (9 * 2 + 9 * 4 * 2 * 3) + 3 * 5),
        ("plain", "invariant", False, False, 9 * 2 + 9 * 2 * 3 + 3 * 5),
    ],
)
def test_what_each_network_keeps_at_the_start(layers, readout, equivariant, invariant, weights):
    model, variables = made(layers=layers, readout=readout, banks=2)
    group = cyclic(4)
    acts = group.actions() if layers == "plain" else group.regular_actions()
    maps, logits = model.maps(variables, X), model.apply(variables, X)
    for times in (1, 2, 3):
        rotated = rotate90(X, times)
        moved = np.abs(model.maps(variables, rotated) - acts[times](maps)).max()
        assert (moved < 1e-5) == equivariant
        assert equivariant or moved > 0.1
        change = np.abs(model.apply(variables, rotated) - logits).max()
        assert (change < 1e-5) == invariant
        assert invariant or change > 0.01
    # Beside the weights: biases and two numbers of each channel in batch normalisation.
    total = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert total == weights + 3 * (2 + 3) + 5


@pytest.mark.parametrize(
    ("layers", "name"), [("relaxed", "relaxation"), ("residual", "free")]
)  # fmt: skip
def test_relaxed_and_residual_networks_can_give_invariance_up(layers, name):
    model, variables = made(layers=layers)
    params = {**variables["params"]}
    params["conv1"] = {**params["conv1"], name: params["conv1"][name].at[0, 0].add(0.5)}
    changed = {**variables, "params": params}
    assert np.abs(model.apply(changed, rotate90(X)) - model.apply(changed, X)).max() > 0.01


def test_arguments_reach_the_layers():
    _, variables = made(layers="relaxed", banks=3)
    assert variables["params"]["conv2"]["relaxation"].shape == (3, 4)
    model, variables = made(layers="residual", prior=0.5)
    params = jax.tree.map(jnp.ones_like, variables["params"])
    _, sown = model.apply({**variables, "params": params}, X, mutable="losses")
    free = 9 * 4 * 2 + 9 * 4 * 2 * 4 * 3
    assert sum(map(float, jax.tree.leaves(sown))) == pytest.approx(0.5 * free)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"layers": "p4"}, (1, 8, 8, 1), "layers must be one of plain, group.*got 'p4'"),
        ({"readout": "max"}, (1, 8, 8, 1), "readout must be invariant or free, got 'max'"),
        ({}, (1, 8, 6, 1), r"square images of even sides, got \(1, 8, 6, 1\)"),
        ({}, (1, 9, 9, 1), r"square images of even sides, got \(1, 9, 9, 1\)"),
    ],
)
def test_wrong_input_is_named(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(OrientationNet(5, **arguments).init, jax.random.key(0), jnp.ones(shape))
