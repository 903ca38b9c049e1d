"""The network of 1989: its published counts, and its numbers against loops in float64."""

import jax
import numpy as np
import pytest

from cnnjax.inspect import layers_of
from cnnjax.models import LeCun1989

pytestmark = pytest.mark.fast


def squash(x):
    return 1.7159 * np.tanh(2 / 3 * x)


def plane_sums(maps, kernel, position):
    """What a unit of a 5x5 kernel that moves by 2 sums up; beyond the border is background, -1."""
    total, (rows, columns, channels) = 0.0, maps.shape
    for a in range(5):
        for b in range(5):
            row, column = 2 * position[0] + a - 2, 2 * position[1] + b - 2
            inside = 0 <= row < rows and 0 <= column < columns
            for channel in range(channels):
                value = maps[row, column, channel] if inside else -1.0
                total += value * kernel[a, b, channel]
    return total


def test_logits_are_those_of_the_loops():
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (16, 16, 1))
    model = LeCun1989()
    shapes = jax.eval_shape(model.init, jax.random.key(0), image[None])["params"]
    params = jax.tree.map(lambda leaf: 0.3 * random.normal(size=leaf.shape), shapes)

    first = np.zeros((8, 8, 12))
    second = np.zeros((4, 4, 12))
    for i, j, m in np.ndindex(first.shape):
        total = plane_sums(image, params["H1"]["kernel"][..., m], (i, j))
        first[i, j, m] = squash(total + params["H1_bias"]["bias"][i, j, m])
    seen = [list(range(8)), list(range(4, 12)), [8, 9, 10, 11, 0, 1, 2, 3]]
    for i, j, m in np.ndindex(second.shape):
        kernel = params[f"H2_{m // 4}"]["kernel"][..., m % 4]
        total = plane_sums(first[..., seen[m // 4]], kernel, (i, j))
        second[i, j, m] = squash(total + params["H2_bias"]["bias"][i, j, m])
    hidden = squash(second.ravel() @ params["H3"]["kernel"] + params["H3"]["bias"])
    expected = hidden @ params["output"]["kernel"] + params["output"]["bias"]
    (found,) = jax.jit(model.apply)({"params": params}, image[None])
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_every_layer_counts_as_published():
    """Table of the paper: H1 19,968 connections and 1,068 parameters, H2 38,592 and 2,592, ..."""
    found = {}
    for layer in layers_of(LeCun1989(), (16, 16, 1)):
        total = found.setdefault(layer.name[:2], np.zeros(3, int))
        total += (layer.units, layer.connections, layer.parameters)
    assert {name: tuple(total) for name, total in found.items()} == {
        "H1": (768, 19_968, 1_068),
        "H2": (192, 38_592, 2_592),
        "H3": (30, 5_790, 5_790),
        "ou": (10, 310, 310),
    }
    assert sum(found.values()).tolist() == [1_256 - 256, 64_660, 9_760]
