"""Conversions: the function is kept on the way up, the parameters come back on the way down."""

import jax
import numpy as np
import pytest
from hypothesis import given, strategies as st

from cnnjax.layers import (
    Conv,
    FullyConnected,
    LocalConv,
    TiledConv,
    dense_to_local,
    local_to_dense,
    local_to_tiled,
    standard_to_tiled,
    tied_banks,
    tiled_to_local,
    tiled_to_standard,
)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def random_parameters(seed, kernel, bias):
    return {"kernel": normal(seed, *kernel), "bias": normal(seed + 1, *bias)}


@pytest.mark.fast
@given(
    # Few sizes: each is compiled.
    size=st.sampled_from([(3, 5), (4, 4), (6, 3)]),
    strides=st.sampled_from([1, 2, (2, 1)]),
    padding=st.sampled_from(["SAME", "VALID", "FULL", "CIRCULAR", "REFLECT", 1, [(0, 2), (1, 0)]]),
    dilation=st.sampled_from([1, (1, 2)]),
    groups=st.sampled_from([1, 2]),
    tile=st.sampled_from([1, 2, (3, 2)]),
)
def test_the_function_is_kept_from_standard_to_dense(
    size, strides, padding, dilation, groups, tile
):
    shared = {"strides": strides, "padding": padding, "kernel_dilation": dilation}
    grouped = {**shared, "feature_group_count": groups}

    @jax.jit
    def chain(x, standard):
        z = Conv(4, 2, **grouped).apply({"params": standard}, x)
        tiled = standard_to_tiled(standard, tile)
        local = tiled_to_local(tiled, z.shape[1:-1])
        dense = local_to_dense(local, size, **grouped)
        layers = (
            (TiledConv(4, 2, tile=tile, **grouped), tiled),
            (LocalConv(4, 2, **grouped), local),
            (FullyConnected(4, 2, **shared), dense),
        )
        outputs = [layer.apply({"params": parameters}, x) for layer, parameters in layers]
        return z, outputs, tiled_to_standard(tiled)

    standard = random_parameters(0, (2, 2, 2 // groups, 4), (4,))
    z, outputs, back = chain(normal(1, 2, *size, 2), standard)
    for output in outputs:
        # float32: sums of at most 8 products of order 1.
        np.testing.assert_allclose(output, z, rtol=1e-5, atol=1e-5)
    assert np.ptp(z) > 0.1
    for name, leaf in standard.items():
        np.testing.assert_allclose(back[name], leaf, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("padding", ["CIRCULAR", "VALID"])
@pytest.mark.parametrize("window", [2, 3, 7])
def test_a_local_layer_comes_back_from_the_dense_ones(padding, window):
    """Where every tap reads an input of its own; a window of 7 meets itself on a circle of 6."""
    size = 8 if padding == "VALID" else 6
    layer = LocalConv(3, window, padding=padding)
    outputs = (size,) * 2 if padding == "CIRCULAR" else (size - window + 1,) * 2
    local = random_parameters(0, (*outputs, window, window, 2, 3), (*outputs, 3))

    @jax.jit
    def there_and_back(local, x):
        dense = local_to_dense(local, (size, size), padding=padding)
        back = dense_to_local(dense, window, padding=padding)
        return back, *(layer.apply({"params": each}, x) for each in (local, back))

    back, z, kept = there_and_back(local, normal(2, 2, size, size, 2))
    # float32: sums of at most 98 products of order 1.
    np.testing.assert_allclose(kept, z, rtol=1e-4, atol=1e-4)
    same = np.allclose(back["kernel"], local["kernel"], atol=1e-6)
    assert same == (window <= size and not (window == 7 and padding == "CIRCULAR"))


def test_projections_are_averages_over_the_positions_that_share():
    local = random_parameters(0, (5, 3, 3, 3, 1, 2), (5, 3, 2))
    tiled = jax.jit(lambda local: local_to_tiled(local, (2, 3)))(local)
    for name in ("kernel", "bias"):
        leaf = np.asarray(local[name], np.float64)
        for row in range(2):
            for column in range(3):
                expected = leaf[row::2, column::3].mean((0, 1))
                np.testing.assert_allclose(tiled[name][row, column], expected, rtol=1e-5, atol=1e-6)


def test_projections_are_nearest_in_least_squares():
    """The residual is orthogonal to the family; another member is farther away."""
    local = random_parameters(0, (4, 4, 2, 2, 1, 2), (4, 4, 2))
    member = random_parameters(1, (2, 2, 2, 2, 1, 2), (2, 2, 2))
    project = jax.jit(lambda local: tiled_to_local(local_to_tiled(local, 2), (4, 4)))
    spread = jax.jit(lambda tiled: tiled_to_local(tiled, (4, 4)))
    residual = local["kernel"] - np.asarray(project(local)["kernel"])
    assert abs(np.vdot(residual, np.asarray(spread(member)["kernel"]))) < 1e-4
    assert np.vdot(residual, local["kernel"]) > 1  # and it is not simply zero


def test_conversions_work_under_jit_and_grad():
    local = random_parameters(0, (4, 4, 3, 3, 1, 2), (4, 4, 2))

    @jax.jit
    def energy(parameters):
        dense = local_to_dense(parameters, (4, 4), padding="CIRCULAR")
        return (dense["kernel"] ** 2).sum()

    gradient = jax.jit(jax.grad(energy))(local)["kernel"]
    # Each weight of a 3x3 window lands in one entry of its own on a 4x4 circle.
    np.testing.assert_allclose(gradient, 2 * local["kernel"], rtol=1e-6)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: local_to_tiled(p, 5), r"tile \(5, 5\)"),
        (lambda p: tiled_to_local(p, (4,)), r"out_space .* got \(4,\)"),
        (lambda p: local_to_dense(p, (9, 9)), r"output of \(9, 9\)"),
        (lambda p: tiled_to_standard({"kernel": p["kernel"][0]}), "rank 4, 6 or 8"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(random_parameters(0, (4, 4, 3, 3, 1, 2), (4, 4, 2)))


@pytest.mark.fast
def test_a_network_is_embedded_in_the_one_with_banks_layer_by_layer():
    standard = {
        "conv": {"kernel": normal(0, 3, 3, 1, 2), "bias": np.array([4.0, 5.0])},
        "head": {"kernel": np.ones((2, 7)), "bias": np.arange(7.0)},
    }
    bank = {"kernel": np.zeros((2, 4, 3, 3, 1, 2)), "bias": np.zeros((2, 4, 2))}
    tied = tied_banks(standard, {"conv": bank, "head": standard["head"]})
    assert jax.tree.map(np.shape, tied["conv"]) == jax.tree.map(np.shape, bank)
    for p in range(2):
        for q in range(4):
            for name in ("kernel", "bias"):
                np.testing.assert_array_equal(tied["conv"][name][p, q], standard["conv"][name])
    assert tied["head"] is standard["head"]
    wrong = {"conv": {"kernel": np.zeros((2, 2, 5, 5, 1, 2))}, "head": standard["head"]}
    with pytest.raises(ValueError, match="the kernel of 'conv' must be one of a bank"):
        tied_banks(standard, wrong)
