"""The examples of the documentation: each is short, and passes the checks of a variant."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

from cnnjax.layers import Conv, LocalConv
from cnnjax.testing import variant_checks

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
KEY = jax.random.key(0)


def example(name):
    """The class that an example defines, from its file."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CoordConv = example("coord_conv").CoordConv
Involution = example("involution").Involution
PartiallyTiedConv = example("partially_tied_conv").PartiallyTiedConv


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_every_example_is_here_and_shorter_than_60_lines():
    files = {path.stem: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py")}
    assert set(files) == {"coord_conv", "involution", "partially_tied_conv"}
    assert max(len(text.splitlines()) for text in files.values()) < 60


@pytest.mark.parametrize("check", variant_checks(CoordConv), ids=str)
def test_coord_conv(check):
    check()


@pytest.mark.parametrize("check", variant_checks(Involution), ids=str)
def test_involution(check):
    check()


@pytest.mark.parametrize("check", variant_checks(PartiallyTiedConv), ids=str)
def test_partially_tied_conv(check):
    check()


def test_coord_conv_adds_a_response_to_the_position():
    """With a kernel of 1 on the coordinates and 0 on x, of one tap: the normalised positions."""
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 1, 0] = kernel[0, 0, 2, 1] = 1
    params = {"params": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}
    z = np.asarray(jax.jit(CoordConv(2, (1, 1)).apply)(params, np.ones((1, 3, 5, 1), np.float32)))
    rows, columns = np.array([-1, 0, 1]), np.array([-2, -1, 0, 1, 2])
    np.testing.assert_allclose(z[0, :, 0, 0], rows / rows.std(), rtol=1e-6)
    np.testing.assert_allclose(z[0, 0, :, 1], columns / columns.std(), rtol=1e-6)


def test_involution_is_its_formula():
    """Loops in NumPy float64 over a 1-D input, two channels and two kernels."""
    x = noise(1, 5, 2)
    layer = Involution(4, (3,), padding="CIRCULAR")
    z, variables = jax.device_get(jax.jit(layer.init_with_output)(KEY, x))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])
    expected = np.zeros((5, 2, 2))
    for p in range(5):
        hidden = np.maximum(x[0, p] @ params["reduce"]["kernel"] + params["reduce"]["bias"], 0)
        kernel = (hidden @ params["span"]["kernel"] + params["span"]["bias"]).reshape(3, 2)
        for a in range(3):
            for c in range(2):
                expected[p, c] += kernel[a] * x[0, (p + a - 1) % 5, c]
    np.testing.assert_allclose(z[0], expected.reshape(5, 4), rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize(("region", "module"), [(1, LocalConv), (8, Conv)])
def test_partially_tied_conv_has_local_and_standard_at_its_ends(region, module):
    x = noise(2, 8, 6, 3)
    layer = module(4, (3, 3), bias_init=jax.nn.initializers.normal())
    z, variables = jax.device_get(jax.jit(layer.init_with_output)(KEY, x))
    params = variables["params"]
    if region == 8:
        params = jax.tree.map(lambda leaf: leaf[None, None], params)
    tied = jax.jit(PartiallyTiedConv(4, (3, 3), region=region).apply)({"params": params}, x)
    np.testing.assert_allclose(tied, z, rtol=1e-5, atol=1e-5)
