"""The layers: shapes, initial variance, promised lattices, agreement with Flax."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.layers import (
    VARIANTS,
    Conv,
    ConvTranspose,
    DepthwiseConv,
    DilatedConv,
    FullyConnected,
    LocalConv,
    LowRankLocalConv,
    TiledConv,
)
from cnnjax.symmetry import translation_lattice

KEY = jax.random.key(0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def initialised(layer, x):
    """Output and variables, from one program."""
    return jax.jit(layer.init_with_output)(KEY, x)


def of_both(one, other, x):
    """Outputs of two layers with the initial variables of the first, from one program."""

    def run(key, x):
        z, variables = one.init_with_output(key, x)
        return z, other.apply(variables, x)

    return jax.jit(run)(KEY, x)


def drawn(layer, x):
    """Variables of the layer's shapes, all of Gaussian noise, its bias included."""
    shapes = jax.eval_shape(layer.init, KEY, x)
    leaves, structure = jax.tree.flatten(shapes)
    return structure.unflatten([noise(*leaf.shape, seed=n) for n, leaf in enumerate(leaves)])


@pytest.mark.fast
def test_parameters_have_the_documented_shapes():
    x = noise(2, 6, 4, 4)
    shapes = {
        name: jax.eval_shape(module(8, 3, padding="CIRCULAR").init, KEY, x)["params"]
        for name, module in VARIANTS.items()
    }
    shapes = {
        name: {key: leaf.shape for key, leaf in params.items()} for name, params in shapes.items()
    }
    assert shapes == {
        "standard": {"kernel": (3, 3, 4, 8), "bias": (8,)},
        "dilated": {"kernel": (3, 3, 4, 8), "bias": (8,)},
        "depthwise": {"kernel": (3, 3, 1, 8), "bias": (8,)},
        "transposed": {"kernel": (3, 3, 4, 8), "bias": (8,)},
        "tiled": {"kernel": (2, 2, 3, 3, 4, 8), "bias": (2, 2, 8)},
        "low_rank": {
            "kernel": (2, 3, 3, 4, 8),
            "bias": (2, 8),
            "mixing_0": (6, 2),
            "mixing_1": (4, 2),
        },
        "local": {"kernel": (6, 4, 3, 3, 4, 8), "bias": (6, 4, 8)},
        "dense": {"kernel": (6, 4, 4, 6, 4, 8), "bias": (6, 4, 8)},
    }


KEYS = list(jax.random.split(KEY, 12))
LECUN, HE = nn.initializers.lecun_normal(), nn.initializers.he_uniform()


@functools.cache
def variance_of(initializer):
    """Variance of the entries of a large kernel with a fan-in of 9 * 16."""
    return float(np.var(initializer(KEY, (3, 3, 16, 4096), jnp.float32)))


@pytest.mark.parametrize("name", ["tiled", "low_rank", "local", "dilated", "depthwise"])
@pytest.mark.parametrize(
    ("initializer", "size"),
    [(LECUN, 8), (LECUN, 16), (HE, 8)],
    ids=["lecun_normal-8", "lecun_normal-16", "he_uniform-8"],
)
def test_initial_variance_is_that_of_the_fan_in_of_one_window(name, size, initializer):
    """lecun gives an output variance of 1, he of 2, for unit noise and a fan-in of one window."""
    channels = 4
    x = noise(8, size, size, channels)
    layer = VARIANTS[name](16, 3, padding="CIRCULAR", kernel_init=initializer)
    variance = jax.jit(lambda key, x: layer.init_with_output(key, x)[0].var())
    variances = [float(variance(key, x)) for key in KEYS]
    expected = variance_of(initializer) * 9 * 16
    # Each of the 12 draws 9 * in/groups * 16 weights at least; their variance scatters as
    # sqrt(2 / 144) about its mean, a twelfth of that over 12 draws: four standard errors.
    assert np.mean(variances) == pytest.approx(expected, rel=4 * np.sqrt(2 / (144 * 12)))


def test_flax_local_starts_too_small_where_ours_does_not():
    """The negative control of the test above: fan-in counted over the whole bank."""
    x = noise(4, 16, 16, 4)
    theirs, _ = initialised(nn.ConvLocal(8, (3, 3)), x)
    ours, _ = initialised(LocalConv(8, 3), x)
    assert np.std(theirs) < 0.1 * np.std(ours)


@pytest.mark.fast
@pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR", 1, [(0, 2), (1, 0)]])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv_is_flax_conv(padding, groups):
    x = noise(3, 7, 6, 4)
    arguments = {
        "features": 8,
        "kernel_size": (3, 2),
        "strides": (2, 1),
        "padding": padding,
        "kernel_dilation": (1, 2),
        "feature_group_count": groups,
        "bias_init": nn.initializers.normal(),
    }
    theirs, ours = of_both(nn.Conv(**arguments), Conv(**arguments), x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)  # float32, 24 products


@pytest.mark.parametrize("padding", ["SAME", "VALID", [(1, 2), (0, 1)]])
@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_conv_transpose_is_flax_conv_transpose(padding, transpose_kernel):
    x = noise(2, 5, 4, 3)
    arguments = {
        "features": 6,
        "kernel_size": (3, 2),
        "strides": (2, 3),
        "padding": padding,
        "transpose_kernel": transpose_kernel,
    }
    theirs, ours = of_both(nn.ConvTranspose(**arguments), ConvTranspose(**arguments), x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_local_conv_is_flax_local_conv():
    """Flax orders the weights of a window channels first, in one axis."""
    x = noise(2, 6, 5, 3)
    ours, variables = initialised(LocalConv(4, (3, 2), padding="VALID"), x)
    kernel = np.asarray(variables["params"]["kernel"])
    flat = np.moveaxis(kernel, -2, 2).reshape(*kernel.shape[:2], -1, 4)
    params = {"kernel": flat, "bias": variables["params"]["bias"]}
    theirs = jax.jit(nn.ConvLocal(4, (3, 2), padding="VALID").apply)({"params": params}, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.fast
def test_bank_of_biases_lies_where_its_kernels_do():
    x = np.zeros((1, 5, 5, 1), np.float32)
    bias = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    params = {"kernel": np.zeros((2, 3, 3, 3, 1, 1), np.float32), "bias": bias}
    z = jax.jit(TiledConv(1, 3, tile=(2, 3)).apply)({"params": params}, x)
    expected = [[[3 * (row % 2) + column % 3] for column in range(5)] for row in range(5)]
    np.testing.assert_array_equal(z[0], expected)


def test_low_rank_mixes_kernels_and_biases_by_a_softmax_of_row_and_column_terms():
    x = noise(1, 4, 4, 1)
    layer = LowRankLocalConv(1, 1, rank=2, bias_init=nn.initializers.normal())
    z, variables = jax.device_get(initialised(layer, x))
    params = variables["params"]
    for row in range(4):
        for column in range(4):
            logits = params["mixing_0"][row] + params["mixing_1"][column]
            weights = np.exp(logits) / np.exp(logits).sum()
            each = x[0, row, column, 0] * params["kernel"][:, 0, 0, 0, 0] + params["bias"][:, 0]
            assert float(z[0, row, column, 0]) == pytest.approx(float(weights @ each), rel=1e-5)


def test_low_rank_with_equal_weights_is_standard():
    x = noise(2, 6, 6, 2)
    layer = LowRankLocalConv(3, 3, rank=4, mixing_std=0.0)
    z, variables = initialised(layer, x)
    kernel = np.mean(variables["params"]["kernel"], 0)
    shared = jax.jit(Conv(3, 3, use_bias=False).apply)({"params": {"kernel": kernel}}, x)
    np.testing.assert_allclose(z, shared, rtol=1e-5, atol=1e-5)


CIRCULAR = {"padding": "CIRCULAR"}


@pytest.mark.parametrize(
    ("layer", "space", "lattice"),
    [
        (Conv(3, 3, **CIRCULAR), (8, 6), (1, 1)),
        (Conv(3, 3, strides=(2, 3), **CIRCULAR), (8, 6), (2, 3)),
        (Conv(3, 3, strides=4, **CIRCULAR), (8, 6), (4, 6)),
        (Conv(3, 2, input_dilation=2, strides=2, **CIRCULAR), (6, 6), (1, 1)),
        (Conv(3, 2, input_dilation=2, strides=3, **CIRCULAR), (6, 6), (3, 3)),
        (Conv(3, 3), (8, 6), (8, 6)),
        (Conv(3, 1, padding="SAME"), (8, 6), (1, 1)),
        (Conv(3, 1, padding="SAME", input_dilation=2), (8, 6), (8, 6)),
        (DilatedConv(3, 3, **CIRCULAR), (8, 6), (1, 1)),
        (DepthwiseConv(4, 3, **CIRCULAR), (8, 6), (1, 1)),
        (TiledConv(3, 3, **CIRCULAR), (8, 6), (2, 2)),
        (TiledConv(3, 3, tile=(4, 3), **CIRCULAR), (8, 6), (4, 3)),
        (TiledConv(3, 3, tile=4, **CIRCULAR), (8, 6), (4, 6)),
        (TiledConv(3, 3, tile=2, strides=2, **CIRCULAR), (8, 6), (4, 6)),
        (TiledConv(3, 3, tile=1, **CIRCULAR), (8, 6), (1, 1)),
        (LowRankLocalConv(3, 3, **CIRCULAR), (8, 6), (8, 6)),
        (LocalConv(3, 3, **CIRCULAR), (8, 6), (8, 6)),
        (FullyConnected(3, 3, **CIRCULAR), (8, 6), (8, 6)),
        (ConvTranspose(3, 3, strides=2, **CIRCULAR), (8, 6), (1, 1)),
        (Conv(3, 3, strides=2, **CIRCULAR), (8,), (2,)),
        (TiledConv(3, 2, tile=2, **CIRCULAR), (4, 2, 4), (2, 2, 2)),
    ],
    ids=str,
)
def test_the_predicted_lattice_is_the_measured_one(layer, space, lattice):
    shape = (2, *space, 2)
    variables = drawn(layer, noise(*shape))
    assert layer.predicted_lattice(space) == lattice
    assert translation_lattice(lambda x: layer.apply(variables, x), shape) == lattice


@pytest.mark.fast
def test_types_promote_as_in_flax():
    x = noise(1, 4, 4, 2).astype(jnp.bfloat16)
    z, variables = jax.eval_shape(Conv(2, 3).init_with_output, KEY, x)
    assert z.dtype == jnp.float32
    half = Conv(2, 3, dtype=jnp.bfloat16)
    assert jax.eval_shape(half.apply, variables, x).dtype == jnp.bfloat16
    half = LocalConv(2, 3, param_dtype=jnp.bfloat16)
    assert jax.eval_shape(half.init, KEY, x)["params"]["kernel"].dtype == jnp.bfloat16


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_takes_unbatched_and_multiply_batched_input(name):
    x = noise(2, 3, 4, 4, 2)
    layer = VARIANTS[name](4, (3, 3), padding="CIRCULAR")
    variables = drawn(layer, x)
    z, one = jax.jit(lambda x: (layer.apply(variables, x), layer.apply(variables, x[1, 2])))(x)
    assert z.shape == (2, 3, 4, 4, 4)
    # Sums of up to 64 products of Gaussian numbers.
    np.testing.assert_allclose(np.asarray(z)[1, 2], one, rtol=1e-5, atol=1e-5)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv(0, 3), (1, 4, 4, 1), "features must be at least 1, got 0"),
        (Conv(2, 3), (4, 1), r"got shape \(4, 1\)"),
        (Conv(2, (3, 3)), (4, 1), r"got shape \(4, 1\)"),
        (Conv(2, 3, strides=0), (1, 4, 4, 1), "strides must be at least 1, got 0"),
        (Conv(2, 3, padding="same"), (1, 4, 4, 1), "got 'same'"),
        (Conv(2, 5, padding="VALID"), (1, 4, 4, 1), "window of size 5"),
        (Conv(3, 3, feature_group_count=2), (1, 4, 4, 2), "must divide .* features, got 3"),
        (DepthwiseConv(3, 3), (1, 4, 4, 2), "must divide .* features, got 3"),
        (TiledConv(2, 3, tile=0), (1, 4, 4, 1), "tile must be at least 1, got 0"),
        (TiledConv(2, 3, tile=(2, 2, 2)), (1, 4, 4, 1), r"tile must be .* got \(2, 2, 2\)"),
        (LowRankLocalConv(2, 3, rank=0), (1, 4, 4, 1), "rank must be at least 1, got 0"),
        (FullyConnected(2, 3, feature_group_count=2), (1, 4, 4, 2), "takes no feature_group_count"),
        (ConvTranspose(2, 3, input_dilation=2), (1, 4, 4, 1), "takes no input_dilation"),
        (ConvTranspose(2, 3, padding="REFLECT"), (1, 4, 4, 1), "'REFLECT'"),
    ],
)
def test_wrong_arguments_are_named(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(layer.init, KEY, np.zeros(shape, np.float32))
