"""Errors of every layer: those of loops in NumPy, those of the audit, and no compilation twice."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from cnnjax.layers import Conv, GroupConv, LiftingConv, TiledConv
from cnnjax.symmetry import layer_errors
from cnnjax.symmetry.audit import audit, noise


class Chain(nn.Module):
    """Two circular convolutions, the second with stride 2, and logits."""

    @nn.compact
    def __call__(self, x):
        x = Conv(2, (3, 3), padding="CIRCULAR", name="first")(x)
        x = Conv(3, (2, 2), strides=(2, 2), padding="CIRCULAR", name="second")(nn.relu(x))
        return nn.Dense(3, name="head")(nn.relu(x).mean((1, 2)))


class Rotations(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(LiftingConv(2, 3, padding="CIRCULAR", name="lift")(x))
        x = nn.relu(GroupConv(2, 3, padding="CIRCULAR", name="group")(x))
        return nn.Dense(3, name="head")(x.max((1, 2, 3)))


class Twice(nn.Module):
    """One layer called twice, which may overflow."""

    @nn.compact
    def __call__(self, x):
        scale = nn.Dense(1, use_bias=False, name="scale", kernel_init=nn.initializers.ones)
        return scale(scale(x)).mean((1, 2))


def initial(model, x):
    return model.init(jax.random.key(1), x)


def convolved(x, kernel, bias, strides):
    """Circular cross-correlation in loops, float64; the window begins `low` before its place."""
    low = (kernel.shape[0] - 1) // 2
    rows, columns = (size // strides for size in x.shape[1:3])
    z = np.zeros((len(x), rows, columns, kernel.shape[-1]))
    for p, q in np.ndindex(rows, columns):
        for a, b in np.ndindex(kernel.shape[:2]):
            row, column = p * strides + a - low, q * strides + b - low
            z[:, p, q] += x[:, row % x.shape[1], column % x.shape[2]] @ kernel[a, b]
    return z + bias


@pytest.mark.fast
def test_errors_are_those_of_loops_off_the_lattice_and_zero_on_it():
    x = noise((2, 4, 4, 1))
    variables = initial(Chain(), x)
    found = layer_errors(Chain(), ("shift1", "shift2", "flip"), (4, 4))(variables, x)
    layers = ["first", "second", "head", ""]
    assert {name: list(errors) for name, errors in found.items()} == dict.fromkeys(found, layers)
    assert max(found["shift2"].values()) < 1e-6
    assert found["shift1"]["first"] < 1e-6
    params = jax.tree.map(np.float64, variables["params"])

    def outputs(image):
        first = convolved(image, *(params["first"][n] for n in ("kernel", "bias")), 1)
        given = (params["second"][n] for n in ("kernel", "bias"))
        second = convolved(np.maximum(first, 0), *given, 2)
        pooled = np.maximum(second, 0).mean((1, 2))
        return first, second, pooled @ params["head"]["kernel"] + params["head"]["bias"]

    base = outputs(np.float64(x))

    def error(moved, layer, act):
        actual, expected = outputs(moved)[layer], act(base[layer])
        return np.linalg.norm(actual - expected) / np.linalg.norm(base[layer])

    # The logits should not change: the larger of the errors of a shift down and to the right.
    logits = [error(np.roll(np.float64(x), 1, axis), 2, lambda z: z) for axis in (1, 2)]
    assert found["shift1"]["head"] == found["shift1"][""] == pytest.approx(max(logits), rel=1e-4)
    assert max(logits) > 1.001 * min(logits)
    flipped = np.float64(x)[:, :, ::-1]
    assert found["flip"]["first"] == pytest.approx(
        error(flipped, 0, lambda z: z[:, :, ::-1]), rel=1e-4
    )
    # Half a position of the second layer, between positions by its four frequencies: 2 x 2 outputs,
    # where the half-way shift of (a, b) is their mean twice, the Nyquist frequency being lost.
    halves = []
    for axis in (1, 2):
        actual, mean = (
            outputs(np.roll(np.float64(x), 1, axis))[1],
            base[1].mean(axis, keepdims=True),
        )
        halves.append(np.linalg.norm(actual - mean) / np.linalg.norm(np.repeat(mean, 2, axis)))
    assert found["shift1"]["second"] == pytest.approx(max(halves), rel=1e-4)


@pytest.mark.parametrize("model", [Chain(), Rotations()])
def test_errors_are_those_of_the_audit(model):
    x = noise((2, 8, 8, 1))
    variables = initial(model, x)
    names = ("shift1", "shift4", "rotate90", "rotate180", "flip")
    found = layer_errors(model, names, (8, 8))(variables, x)
    words = {
        "shift1": ("shift down by 1", "shift right by 1"),
        "shift4": ("shift down by 4", "shift right by 4"),
        "rotate90": ("90-degree rotation",),
        "rotate180": ("180-degree rotation",),
        "flip": ("left-right flip",),
    }
    for stage in audit(model, variables, x).stages:
        for name, audited in words.items():
            expected = max(stage.response.errors[each] for each in audited)
            assert found[name][stage.path] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.fast
def test_a_group_convolution_keeps_rotations_and_loses_flips():
    x = noise((2, 8, 8, 1))
    found = layer_errors(Rotations(), ("rotate90", "flip"), (8, 8))(initial(Rotations(), x), x)
    assert max(found["rotate90"].values()) < 1e-5
    assert min(found["flip"].values()) > 0.01


@pytest.mark.fast
@pytest.mark.parametrize("tile", [(1, 2), (2, 1)])
def test_a_shift_is_one_down_and_one_to_the_right(tile):
    """Kernels that alternate along one axis keep shifts by one along the other."""
    model, x = TiledConv(2, 3, tile=tile, padding="CIRCULAR"), noise((2, 4, 4, 1))
    found = layer_errors(model, ("shift1", "shift2"), (4, 4))(initial(model, x), x)
    assert found["shift1"][""] > 0.1
    assert found["shift2"][""] < 1e-6


@pytest.mark.fast
def test_a_layer_that_is_called_twice_and_numbers_that_are_not_finite():
    x = np.full((2, 4, 4, 1), 1e30, np.float32)
    x[:, 0] = 0
    found = layer_errors(Twice(), ("shift1", "rotate180"), (4, 4))(initial(Twice(), x), x)
    # 1e30 is kept by a factor of one; 1e30 times 1e30 is infinite.
    assert found["shift1"] == {"scale": 0.0, "scale#2": 0.0, "": 0.0}
    variables = jax.tree.map(lambda leaf: 1e10 * leaf, initial(Twice(), x))
    found = layer_errors(Twice(), ("shift1",), (4, 4))(variables, x)["shift1"]
    assert [np.isnan(error) for error in found.values()] == [True, True, True]
    variables = jax.tree.map(lambda leaf: 1e5 * leaf, initial(Twice(), x))
    found = layer_errors(Twice(), ("shift1",), (4, 4))(variables, x)["shift1"]
    assert (found["scale"], np.isnan(found["scale#2"]), np.isnan(found[""])) == (0.0, True, True)


@pytest.mark.fast
def test_other_variables_compile_nothing():
    traces = []

    class Counted(nn.Module):
        @nn.compact
        def __call__(self, x):
            traces.append(x.shape)
            return nn.Dense(2)(x.mean((1, 2)))

    x = noise((2, 4, 4, 1))
    variables = initial(Counted(), x)
    traces.clear()
    measure = layer_errors(Counted(), ("shift1", "flip"), (4, 4))
    for _ in range(3):
        variables = jax.tree.map(lambda leaf: 2 * np.asarray(leaf), variables)
        measure(variables, x)
    assert traces == [(2, 4, 4, 1)]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shift4", r"shorter than the image of 6 x 4, got 'shift4'"),
        ("rotate90", r"images must be square for 'rotate90', got 6 x 4"),
        ("shift0", r"must be 'shiftN' or one of rotate90, rotate180, flip, got 'shift0'"),
        ("mirror", r"must be 'shiftN' or one of rotate90, rotate180, flip, got 'mirror'"),
    ],
)
def test_what_is_no_transformation_of_the_images(name, message):
    with pytest.raises(ValueError, match=message):
        layer_errors(Chain(), (name,), (6, 4))
