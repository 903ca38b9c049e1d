"""The architecture of a network, layer by layer, against what was worked out by hand."""

import dataclasses
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from cnnjax import models, ops
from cnnjax.layers import (
    AveragePool,
    BlurPool,
    Conv,
    GlobalAveragePool,
    GroupConv,
    LiftingConv,
    LocalConv,
    MaxBlurPool,
    MaxPool,
    PolynomialActivation,
    TiledConv,
)
from cnnjax.models.choice import Convolution
from cnnjax.report.architecture import text
from cnnjax.run.config import InputError
from cnnjax.run.record import Record
from cnnjax.study.architecture import cost_of, layers_of
from experiments import architecture


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
    assert [layers[name].jump for name in names] == [(1, 1), (2, 2), (2, 2), (4, 4), (4, 4)]
    assert layers["F6"].receptive_field is None
    assert layers["output"].output_shape == (10,)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("name", "layer", "field", "jump"),
    [("AlexNet", "pool5", 195, 32), ("VGG16", "pool5", 212, 32), ("VGG16", "conv5_3", 196, 16)],
)
def test_published_receptive_fields(name, layer, field, jump):
    """Araujo, Norris, Sim, Computing receptive fields of convolutional neural networks, 2019."""
    model = getattr(models, name)()
    found = by_name(model, model.image_shape)[layer]
    assert (found.receptive_field, found.jump) == ((field, field), (jump, jump))


def test_where_paths_meet_the_largest_field_holds():
    """ResNet-18 sees 435 pixels at its last stage (Araujo, Norris, Sim, 2019)."""
    layers = by_name(models.ResNet18(), (224, 224, 3))
    assert layers["layer4_1/conv2"].receptive_field == (435, 435)
    shortcut = layers["layer2_0/downsample_conv"]
    assert shortcut.receptive_field == layers["layer1_1/conv2"].receptive_field == (43, 43)


@pytest.mark.parametrize("name", ["ResNet20", "GoogLeNet", "CifarTutorial"])
def test_layers_add_up_to_the_network(name):
    from cnnjax.inspect import multiply_adds, parameter_count

    model = getattr(models, name)()
    x = jax.ShapeDtypeStruct((1, *model.image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    layers = layers_of(model, model.image_shape)
    assert sum(layer.parameters for layer in layers) == parameter_count(variables["params"])
    assert sum(layer.multiply_adds for layer in layers) == multiply_adds(model.apply, variables, x)


def field_by_gradient(module, size):
    """How wide an output in the middle sees, of a linear network with positive weights."""
    x = jnp.ones((1, size, size, 1))
    variables = jax.tree.map(jnp.ones_like, module.init(jax.random.key(0), x))
    z = jax.eval_shape(module.apply, variables, x)
    middle = z.shape[1] // 2
    slope = jax.grad(lambda x: module.apply(variables, x)[0, middle, middle].sum())(x)
    seen = jnp.nonzero(jnp.abs(slope[0, :, :, 0]).sum(1))[0]
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
def test_what_arithmetic_cannot_follow_sees_everything_and_counts_in_the_totals(tmp_path, capsys):
    layers = by_name(Attends(), (8, 8, 1))
    assert layers["before"].receptive_field == (1, 1)
    assert layers["after"].receptive_field is None
    parameters, multiply_adds = cost_of(Attends(), (8, 8, 1))
    assert parameters == 1000 + 8 + 10
    assert multiply_adds == 64 * 4 + 2 * 64 * 64 * 4 + 64 * 8
    results = {
        "model": "Attends",
        "conv": [],
        "image_shape": (8, 8, 1),
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "layers": [dataclasses.asdict(layer) for layer in layers.values()],
    }
    assert "1,000 parameters and 32,768 multiply-adds are in modules that hold" in text(results)


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
    assert layers[-1].jump == (2, 1)
    assert layers[-1].output_shape == (4, 8, 2)


def test_the_arithmetic_is_the_gradient():
    """What one output position depends on, by gradient: as wide as the arithmetic says."""

    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x):
            for stride, dilation in ((2, 1), (1, 2)):
                x = Conv(1, 3, strides=stride, kernel_dilation=dilation, use_bias=False)(x)
            return MaxPool(2, strides=2)(x)

    model, x = Stack(), jnp.ones((1, 48, 1))
    variables = jax.tree.map(jnp.ones_like, model.init(jax.random.key(0), x))
    noise = jax.random.uniform(jax.random.key(1), x.shape)

    def smooth(x):  # an average in the place of the maximum, which shows one of its inputs only
        with nn.intercept_methods(
            lambda next_function, args, kwargs, context: (
                ops.average_pool(*args, 2, strides=2)
                if isinstance(context.module, MaxPool)
                else next_function(*args, **kwargs)
            )
        ):
            return model.apply(variables, x)

    seen = jnp.nonzero(jax.grad(lambda x: smooth(x)[0, 6, 0])(noise)[0, :, 0])[0]
    layer = layers_of(model, (48, 1))[-1]
    assert layer.receptive_field == (int(seen[-1] - seen[0]) + 1,) == (13,)
    assert layer.jump == (4,)


def test_the_experiment_prints_and_draws(tmp_path, capsys):
    config = architecture.Config(
        model="LeNet5", conv=(Convolution("tiled", {"tile": 2}),), image_shape=(36, 36, 1)
    )
    record = Record.open(tmp_path / "run", config)
    architecture.run(config, record)
    printed = capsys.readouterr().out
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["layers"][0]["kind"] == TiledConv.__name__
    assert results["layers"][0]["parameters"] == 4 * 156
    assert results["parameters"] == sum(layer["parameters"] for layer in results["layers"])
    assert f"LeNet5 made of tiled(tile=2) has {results['parameters']:,} parameters" in printed
    assert text(results) in printed
    assert {path.name for path in (record.directory / "figures").iterdir()} == {
        "costs.png",
        "volumes.png",
    }
    page = record.report.read_text("utf-8")
    assert "32x32x6" in page


def test_a_network_that_must_be_told_more_is_told_it(tmp_path, capsys):
    config = architecture.Config(model="ConvNet", image_shape=(8, 8, 1))
    architecture.run(config, Record.open(tmp_path / "run", config))
    last = [line.split() for line in capsys.readouterr().out.splitlines() if "classifier" in line]
    assert last[0][2] == "10"


@pytest.mark.fast
def test_wrong_configurations_are_named(tmp_path):
    for wrong, message in (
        (architecture.Config(model="VGG17"), "no model 'VGG17'.*'VGG19'"),
        (architecture.Config(model="LeNet5", image_shape=(8, 8, 1)), "a window of size 5"),
    ):
        with pytest.raises(InputError, match=message):
            architecture.run(wrong, Record.open(tmp_path / wrong.model, wrong))
    with pytest.raises(ValueError, match="one convolution, got"):
        architecture.Config(conv=(Convolution("tiled"), Convolution("local")))
    with pytest.raises(ValueError, match=r"got \(0, 4, 3\)"):
        architecture.Config(image_shape=(0, 4, 3))
