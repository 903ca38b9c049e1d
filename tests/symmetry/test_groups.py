"""Groups by their laws, and the group convolutions as their negative and positive examples."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.layers import Conv, GroupConv, LiftingConv
from cnnjax.symmetry import cyclic, dihedral, equivariance_error

GROUPS = {
    "C1": lambda: cyclic(1),
    "C4": lambda: cyclic(4),
    "C6": lambda: cyclic(6),
    "D1": lambda: dihedral(1),
    "D4": lambda: dihedral(4),
    "D3": lambda: dihedral(3),
}
ORDERS = {"C1": 1, "C4": 4, "C6": 6, "D1": 2, "D4": 8, "D3": 6}


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.fast
@pytest.mark.parametrize("name", GROUPS)
def test_tables_obey_the_laws_of_a_group(name):
    group = GROUPS[name]()
    table, elements = group.table, range(group.order)
    assert group.order == ORDERS[name]
    for g, h, k in itertools.product(elements, repeat=3):
        assert table[table[g, h], k] == table[g, table[h, k]]
    for g in elements:
        assert table[0, g] == table[g, 0] == g
        assert table[g, group.inverses[g]] == table[group.inverses[g], g] == 0
        assert sorted(table[g]) == list(elements)
    assert (table == table.T).all() == (name not in ("D4", "D3"))


@pytest.mark.parametrize("name", ["C4", "D4"])
def test_exact_actions_follow_the_table_on_images_and_regular_features(name):
    group = GROUPS[name]()
    x, f = noise(2, 5, 5, 3), noise(2, 5, 5, group.order, 3)
    for g, h in itertools.product(range(group.order), repeat=2):
        both = group.table[g, h]
        np.testing.assert_array_equal(group.act(g, group.act(h, x)), group.act(both, x))
        twice = group.act_on_regular(g, group.act_on_regular(h, f))
        np.testing.assert_array_equal(twice, group.act_on_regular(both, f))
    moved = {group.act(g, x).tobytes() for g in range(group.order)}
    assert len(moved) == group.order


@pytest.mark.parametrize("interpolation", ["fourier", "bilinear"])
def test_interpolated_rotations_come_back_after_a_whole_turn(interpolation):
    grid = np.indices((25, 25)) - 12
    # A bell off the centre: smooth, and black at the border.
    x = np.exp(-((grid[0] - 2) ** 2 + grid[1] ** 2) / 8)[..., None].astype(np.float32)
    turned = x
    for _ in range(6):
        turned = cyclic(6, interpolation=interpolation).act(1, turned)
    error = np.abs(turned - x).max()
    assert error < 1e-3 if interpolation == "fourier" else error > 0.05


@pytest.mark.parametrize("order", [8, 12])
@pytest.mark.parametrize("interpolation", ["fourier", "bicubic"])
def test_elements_a_quarter_turn_apart_are_exactly_that_apart(order, interpolation):
    """Also those at 45 and 135 degrees, each of which lies half-way between two quarter turns."""
    x = noise(1, 8, 8, 1)
    for group in (cyclic(order, interpolation=interpolation), dihedral(order)):
        quarter = order // 4
        for g in range(order):
            twice = group.act(quarter, group.act(g, x))
            np.testing.assert_array_equal(twice, group.act(group.table[quarter, g], x))
    assert np.abs(cyclic(order).act(1, x) - x).max() > 0.1


@pytest.mark.parametrize(("group", "elements"), [(cyclic(4), 4), (dihedral(4), 8)])
def test_group_convolutions_commute_with_every_element_and_plain_ones_do_not(group, elements):
    x = noise(2, 7, 7, 3)
    lift, deeper = LiftingConv(4, 3, group=elements), GroupConv(5, 3)
    features, first = jax.jit(lift.init_with_output)(jax.random.key(0), x)
    second = jax.jit(deeper.init)(jax.random.key(1), features)

    plain = Conv(4, 3)
    variables = jax.jit(plain.init)(jax.random.key(2), x)

    @jax.jit
    def both(x):
        z = deeper.apply(second, jax.nn.relu(lift.apply(first, x)))
        return z, plain.apply(variables, x)

    # Arrays of NumPy, which the actions leave so: nothing but the layers is compiled.
    def network(x):
        return np.asarray(both(x)[0])

    def alone(x):
        return np.asarray(both(x)[1])

    for element, (act, act_on_regular) in enumerate(
        zip(group.actions(), group.regular_actions(), strict=True)
    ):
        assert equivariance_error(network, act, act_on_regular, x) < 1e-5
        unlike = equivariance_error(alone, act, act, x)
        assert (unlike < 1e-5) == (element == 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cyclic(0), "got 0"),
        (lambda: dihedral(0), "got 0"),
        (lambda: cyclic(4).act_on_regular(1, jnp.zeros((5, 5, 3, 1))), r"got shape \(5, 5, 3, 1\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
