"""The architecture of a network, layer by layer, against what was worked out by hand."""

import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models, ops
from cnnjax.inspect import cost_of, layers_of, multiply_adds, parameter_count
from cnnjax.layers import (
    AveragePool,
    BlurPool,
    Conv,
    ConvTranspose,
    FullyConnected,
    GlobalAveragePool,
    GroupConv,
    LiftingConv,
    LocalConv,
    MaxBlurPool,
    MaxPool,
    PolynomialActivation,
    TiledConv,
)


def by_name(model, image_shape):
    return {layer.name: layer for layer in layers_of(model, image_shape)}


@pytest.mark.fast
def test_every_column_of_lenet():
    layers = by_name(models.LeNet5(), (32, 32, 1))
    c5 = layers["C5"]
    assert (c5.kind, c5.input_shape, c5.output_shape) == ("Conv", (5, 5, 16), (1, 1, 120))
    assert (c5.parameters, c5.multiply_adds) == (48_120, 25 * 16 * 120)
    # By hand: 5, 5 + 1, 6 + 4*2, 14 + 1*2, 16 + 4*4.
    names = ("C1", "S2", "C3_7", "S4", "C5")
    assert [layers[name].receptive_field for name in names] == [
        (5, 5), (6, 6), (14, 14), (16, 16), (32, 32),
    ]  # fmt: skip
    assert [layers[name].effective_stride for name in names] == [
        (1, 1),
        (2, 2),
        (2, 2),
        (4, 4),
        (4, 4),
    ]
    assert layers["F6"].receptive_field is None
    assert layers["output"].output_shape == (10,)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "units", "connections"),
    [
        # Published: 1,256 units with the 256 inputs, 64,660 connections.
        ("LeCun1989", 1000, 64_660),
        # Published: 340,908, with 840 distances where the linear classifier has 850.
        ("LeNet5", 4704 + 1176 + 1600 + 400 + 120 + 84 + 10, 340_908 - 840 + 850),
        # 253,440 in the paper's text for layer 1, whose 55 x 55 x 96 are 290,400; then as there.
        ("AlexNet", 290_400 + 186_624 + 2 * 64_896 + 43_264 + 2 * 4096 + 1000, None),
        ("ConvPoolDense", 32 * 32 * 12 + 10, 32 * 32 * 12 * 28 + 30_730),
    ],
)
def test_units_and_connections_as_published(name, units, connections):
    model = getattr(models, name)()
    layers = layers_of(model, model.image_shape)
    assert sum(layer.units for layer in layers) == units
    if connections:
        assert sum(layer.connections for layer in layers) == connections


@pytest.mark.fast
def test_connections_of_layers_that_share_otherwise():
    """9 inputs and a bias for each of 6 x 6 x 2 units, of any sharing; 37 if dense."""
    for conv, inputs in ((Conv, 10), (LocalConv, 10), (FullyConnected, 37)):
        (layer,) = layers_of(conv(2, 3), (6, 6, 1))
        assert (layer.units, layer.connections) == (72, 72 * inputs), conv
    (layer,) = layers_of(Conv(2, 3, use_bias=False), (6, 6, 1))
    assert layer.connections == 72 * 9
    normalised = nn.Sequential([Conv(2, 3, use_bias=False), nn.BatchNorm(True), nn.relu])
    assert [layer.connections for layer in layers_of(normalised, (6, 6, 1))] == [72 * 9, 0]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "layer", "field", "jump"),
    [("AlexNet", "pool5", 195, 32), ("VGG16", "pool5", 212, 32), ("VGG16", "conv5_3", 196, 16)],
)
def test_published_receptive_fields(name, layer, field, jump):
    """Araujo, Norris, Sim, Computing receptive fields of convolutional neural networks, 2019."""
    model = getattr(models, name)()
    found = by_name(model, model.image_shape)[layer]
    assert (found.receptive_field, found.effective_stride) == ((field, field), (jump, jump))


def test_where_paths_meet_the_largest_field_holds():
    """ResNet-18 sees 435 pixels at its last stage (Araujo, Norris, Sim, 2019)."""
    layers = by_name(models.ResNet18(), (224, 224, 3))
    assert layers["layer4_1/conv2"].receptive_field == (435, 435)
    shortcut = layers["layer2_0/downsample_conv"]
    assert shortcut.receptive_field == layers["layer1_1/conv2"].receptive_field == (43, 43)


@pytest.mark.parametrize("name", ["ResNet20", "GoogLeNet", "CifarTutorial"])
def test_layers_add_up_to_the_network(name):
    model = getattr(models, name)()
    x = jax.ShapeDtypeStruct((1, *model.image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    layers = layers_of(model, model.image_shape)
    assert sum(layer.parameters for layer in layers) == parameter_count(variables["params"])
    assert sum(layer.multiply_adds for layer in layers) == multiply_adds(model.apply, variables, x)


def field_by_gradient(module, size):
    """How wide an output in the middle sees, of a linear network with positive weights."""
    x = np.ones((1, size, size, 1), np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    z = jax.eval_shape(module.apply, variables, x)
    middle = z.shape[1] // 2
    slope = jax.jit(jax.grad(lambda x: module.apply(variables, x)[0, middle, middle].sum()))(x)
    seen = np.flatnonzero(np.abs(np.asarray(slope)[0, :, :, 0]).sum(1))
    return int(seen[-1] - seen[0]) + 1


class Functions(nn.Module):
    """Everything is done between modules: pooling, slices, borders, a convolution by hand."""

    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="wrap")
        x = x[:, 1:, 1:] + x[:, :-1, :-1]
        x = nn.Conv(2, (3, 3), kernel_dilation=2, padding="VALID", name="conv")(x)
        x = x[:, ::2, ::2]
        x = (x - x.mean(-1, keepdims=True)) if x.shape[-1] > 2 else x
        return nn.Dense(1, name="dense")(x)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential([MaxBlurPool(), BlurPool(strides=1, filter_size=5), nn.Dense(1)]),
        nn.Sequential([nn.Conv(3, (5, 3), strides=2), BlurPool(filter_size=3), nn.Dense(2)]),
        nn.Sequential([TiledConv(2, 3, tile=2, strides=2), LocalConv(2, 3), nn.Dense(2)]),
        nn.Sequential([AveragePool(3, strides=2), Conv(2, 3, padding="CIRCULAR"), nn.Dense(1)]),
        Functions(),
    ],
    ids=["blur", "flax", "variants", "circular", "functions"],
)
def test_the_arithmetic_of_anything_local_is_the_gradient(module):
    size = 40
    last = layers_of(module, (size, size, 1))[-1]
    averaged = MaxBlurPool.__name__ in str(module)
    # A maximum shows one of its inputs only: of equal ones jax shows the first.
    assert last.receptive_field[0] == field_by_gradient(module, size) + averaged


class Attends(nn.Module):
    """Mixes all positions between two layers that work on each alone."""

    @nn.compact
    def __call__(self, x):
        weight = self.param("weight", nn.initializers.ones, (1000,))
        x = nn.Dense(4, name="before")(x)
        flat = x.reshape(x.shape[0], -1, 4)
        x = nn.softmax(flat @ flat.swapaxes(1, 2)) @ flat + weight[:4][None, None]
        return nn.Dense(2, name="after")(x.reshape(-1, 8, 8, 4))


@pytest.mark.fast
def test_what_arithmetic_cannot_follow_has_no_field_and_counts_in_the_totals():
    layers = by_name(Attends(), (8, 8, 1))
    assert layers["before"].receptive_field == (1, 1)
    assert layers["after"].receptive_field is None
    parameters, products = cost_of(Attends(), (8, 8, 1))
    assert parameters == 1000 + 8 + 10
    assert products == 64 * 4 + 2 * 64 * 64 * 4 + 64 * 8


@pytest.mark.fast
@pytest.mark.parametrize(
    "module",
    [
        GlobalAveragePool(),
        PolynomialActivation(),
        nn.GroupNorm(1),
        nn.ConvTranspose(1, (3, 3), (2, 2)),
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_sees_everything_says_so(module):
    (layer,) = layers_of(module, (8, 8, 1))
    assert layer.receptive_field is None


@pytest.mark.fast
def test_group_convolutions_have_the_field_of_their_kernels():
    module = nn.Sequential([LiftingConv(2, 3), GroupConv(2, (3, 3), strides=2), GroupConv(1, 3)])
    fields = [layer.receptive_field for layer in layers_of(module, (16, 16, 1))]
    assert fields == [(3, 3), (5, 5), (9, 9)]


class Branches(nn.Module):
    """A shared layer used twice on one path, a pooling on the other, put together; then a layer."""

    @nn.compact
    def __call__(self, x):
        twice = Conv(3, 3, name="shared")
        long = twice(jax.jit(nn.relu)(twice(x)))
        short = MaxPool(2, strides=1, padding="SAME", name="pool")(x)
        x = jnp.concatenate([long, nn.Dropout(0.5, deterministic=True)(short)], axis=-1)
        return Conv(2, (3, 1), kernel_dilation=(2, 1), strides=(2, 1), name="last")(x)


@pytest.mark.fast
def test_paths_shared_weights_and_axes_apart():
    layers = layers_of(Branches(), (8, 8, 3))
    assert [layer.name for layer in layers] == ["shared", "shared", "pool", "last"]
    assert [layer.parameters for layer in layers] == [84, 0, 0, 38]
    assert [layer.receptive_field for layer in layers] == [(3, 3), (5, 5), (2, 2), (9, 5)]
    assert layers[-1].effective_stride == (2, 1)
    assert layers[-1].output_shape == (4, 8, 2)


def test_the_arithmetic_is_the_gradient():
    """What one output position depends on, by gradient: as wide as the arithmetic says."""

    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x):
            for stride, dilation in ((2, 1), (1, 2)):
                x = Conv(1, 3, strides=stride, kernel_dilation=dilation, use_bias=False)(x)
            return MaxPool(2, strides=2)(x)

    model, noise = Stack(), np.random.default_rng(1).uniform(size=(1, 48, 1)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), noise)
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)

    def smooth(x):  # an average in the place of the maximum, which shows one of its inputs only
        with nn.intercept_methods(
            lambda next_function, args, kwargs, context: (
                ops.average_pool(*args, 2, strides=2)
                if isinstance(context.module, MaxPool)
                else next_function(*args, **kwargs)
            )
        ):
            return model.apply(variables, x)

    seen = np.flatnonzero(jax.jit(jax.grad(lambda x: smooth(x)[0, 6, 0]))(noise))
    layer = layers_of(model, (48, 1))[-1]
    assert layer.receptive_field == (int(seen[-1] - seen[0]) + 1,) == (13,)
    assert layer.effective_stride == (4,)


class Patches(nn.Module):
    """A window of 3, stride 2, by an array of positions, which arithmetic cannot follow."""

    stated: int = 0

    def window(self, x):
        """As a convolution states it: kernel size `stated`."""
        return types.SimpleNamespace(
            kernel_size=(self.stated,),
            strides=(2,),
            padding=((0, 0),) if self.stated else (),
            kernel_dilation=(1,),
        )

    @nn.compact
    def __call__(self, x):
        positions = 2 * jnp.arange((x.shape[1] - 3) // 2 + 1)[:, None] + jnp.arange(3)[None]
        return jnp.take(x, positions, axis=1).sum(2)


class Silent(Patches):
    """The same, and it states nothing."""

    window = None


@pytest.mark.fast
def test_a_module_of_anyone_may_state_its_window():
    (layer,) = layers_of(Patches(3), (9, 1))
    assert (layer.receptive_field, layer.effective_stride) == ((3,), (2,))
    (layer,) = layers_of(Silent(), (9, 1))
    assert (layer.receptive_field, layer.effective_stride) == (None, None)


@pytest.mark.fast
def test_a_window_that_gives_another_output_size_does_not_count():
    (layer,) = layers_of(Patches(5), (9, 1))
    assert (layer.receptive_field, layer.effective_stride) == (None, None)


@pytest.mark.fast
@pytest.mark.parametrize("padding", ["SAME", "CIRCULAR"])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_dense_layer_of_a_convolutions_shape_depends_on_everything(padding, strides):
    """It has the window that sets its output's size, and reads all of its input."""
    layers = layers_of(FullyConnected(2, 3, strides=strides, padding=padding), (8, 8, 1))
    assert layers[0].output_shape == (8 // strides, 8 // strides, 2)
    assert layers[0].receptive_field is None


@pytest.mark.fast
@pytest.mark.parametrize("padding", ["SAME", "CIRCULAR"])
def test_a_transposed_convolution_has_a_field_where_its_stride_is_whole(padding):
    """At stride 2 neighbouring outputs are half a pixel apart; at stride 1 it is a convolution."""
    (layer,) = layers_of(ConvTranspose(1, 3, strides=1, padding=padding), (8, 8, 1))
    assert (layer.receptive_field, layer.effective_stride) == ((3, 3), (1, 1))
    (layer,) = layers_of(ConvTranspose(1, 3, strides=2, padding=padding), (8, 8, 1))
    assert layer.output_shape == (16, 16, 1)
    assert (layer.receptive_field, layer.effective_stride) == (None, None)
