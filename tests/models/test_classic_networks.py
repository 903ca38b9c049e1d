"""The classic networks against their published parameter counts and the shapes of their stages."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.inspect import multiply_adds, parameter_count
from cnnjax.layers import LocalConv
from cnnjax.models.lenet import CONNECTIONS

IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)


@functools.cache
def traced(name, shape, arguments=()):
    """Shapes of the parameters of a network, and of what its named parts give for one image."""
    model = getattr(models, name)(**dict(arguments))
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    stages = {}

    def keep(next_function, args, kwargs, context):
        found = next_function(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(found, jax.Array):
            stages["/".join(context.module.path) or "network"] = found.shape[1:]
        return found

    with nn.intercept_methods(keep):
        variables = jax.eval_shape(model.init, jax.random.key(0), x)
    return variables, stages


def count(name, shape, **arguments):
    variables, _ = traced(name, shape, tuple(arguments.items()))
    return parameter_count(variables["params"])


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        pytest.param("LeNet5", (32, 32, 1), 60_000 + 85 * 10, marks=pytest.mark.fast),
        pytest.param("AlexNet", IMAGENET, 60_965_224, marks=pytest.mark.fast),
        ("AlexNetOneTower", IMAGENET, 61_100_840),
        ("VGG11", IMAGENET, 132_863_336),
        ("VGG13", IMAGENET, 133_047_848),
        pytest.param("VGG16", IMAGENET, 138_357_544, marks=pytest.mark.fast),
        ("VGG19", IMAGENET, 143_667_240),
        ("GoogLeNet", IMAGENET, 13_378_280),
        # torchvision prints 13,004,888; without the heads 6,624,904.
        ("GoogLeNetBatchNorm", IMAGENET, 13_004_888),
        pytest.param("ResNet18", IMAGENET, 11_689_512, marks=pytest.mark.fast),
        ("ResNet34", IMAGENET, 21_797_672),
        ("ResNet50", IMAGENET, 25_557_032),
        pytest.param("ResNet101", IMAGENET, 44_549_160, marks=pytest.mark.slow),
        pytest.param("ResNet152", IMAGENET, 60_192_808, marks=pytest.mark.slow),
        ("ResNet20", CIFAR, 269_722),
        ("ResNet44", CIFAR, 658_586),
        ("DenseNet121", IMAGENET, 7_978_856),
        pytest.param("DenseNet169", IMAGENET, 14_149_480, marks=pytest.mark.slow),
        pytest.param("DenseNet201", IMAGENET, 20_013_928, marks=pytest.mark.slow),
        pytest.param("DenseNetBC100", CIFAR, 769_162, marks=pytest.mark.slow),
        pytest.param("DenseNet40", CIFAR, 1_019_722, marks=pytest.mark.slow),
        ("CifarTutorial", (24, 24, 3), 1_068_298),
    ],
)
def test_published_parameter_counts(name, shape, expected):
    assert count(name, shape) == expected


def test_variants_count_as_published():
    modern = {"connection_table": False, "trained_subsampling": False}
    assert count("LeNet5", (32, 32, 1), **modern) == 61_706
    assert count("GoogLeNet", IMAGENET, auxiliary=False) == 6_998_552
    assert count("GoogLeNetBatchNorm", IMAGENET, auxiliary=False) == 6_624_904
    local = (9 * 64 + 1) * 64 * 36 + (9 * 64 + 1) * 32 * 36 + (36 * 32 + 1) * 10
    convolutions = (25 * 3 + 1) * 64 + (25 * 64 + 1) * 64
    found = count("CifarTutorial", (24, 24, 3), locally_connected=True)
    assert found == convolutions + local


@pytest.mark.parametrize(
    ("base", "variant", "millions"),
    [("A", "base", 0.84), ("A", "all_cnn", 1.25), ("B", "strided", 0.89), ("C", "conv_pool", 1.37)],
)
def test_all_cnn_table(base, variant, millions):
    """The paper rounds: A about 0.9 and 1.28, B about 1, C with three layers a stage about 1.4."""
    found = count("AllCNN", CIFAR, base=base, variant=variant)
    assert round(found / 1e6, 2) == millions
    _, stages = traced("AllCNN", CIFAR, (("base", base), ("variant", variant)))
    assert stages["conv3"] == stages["conv4"] == (6, 6, 192)
    if variant == "strided":
        assert "pool1" not in stages
        last = "conv1_2" if base != "A" else "conv1_1"
        assert stages[last] == (16, 16, 96)
    else:
        assert stages["pool1"] == (16, 16, 96)


def test_all_cnn_c_is_the_counted_network():
    windows = [(3, 3, 96), (3, 96, 96), (3, 96, 96), (3, 96, 192), (3, 192, 192), (3, 192, 192)]
    windows += [(3, 192, 192), (1, 192, 192), (1, 192, 10)]
    by_hand = sum((taps**2 * channels + 1) * features for taps, channels, features in windows)
    assert count("AllCNN", CIFAR) == by_hand
    with pytest.raises(ValueError, match="got 'D' and 'all_cnn'"):
        count("AllCNN", CIFAR, base="D")


@pytest.mark.fast
def test_lenet_stages_and_weights_of_each_layer():
    variables, stages = traced("LeNet5", (32, 32, 1))
    expected = {
        "C1": ((28, 28, 6), 156),
        "S2": ((14, 14, 6), 12),
        "C3_0": ((10, 10, 1), 76),
        "S4": ((5, 5, 16), 32),
        "C5": ((1, 1, 120), 48_120),
        "F6": ((84,), 10_164),
    }
    for name, (shape, weights) in expected.items():
        assert stages[name] == shape
        assert parameter_count(variables["params"][name]) == weights
    c3 = [parameter_count(p) for name, p in variables["params"].items() if name.startswith("C3")]
    assert (len(c3), sum(c3)) == (16, 1516)


@pytest.mark.fast
def test_connection_table():
    """Table I: columns 0, 5 and 11 as printed, 60 connections: each map of S2 is read by ten."""
    assert CONNECTIONS[0] == (0, 1, 2)
    assert CONNECTIONS[5] == (0, 1, 5)
    assert CONNECTIONS[11] == (0, 1, 2, 5)
    assert [sum(read in each for each in CONNECTIONS) for read in range(6)] == [10] * 6
    assert len({frozenset(each) for each in CONNECTIONS}) == 16


STAGES = {
    "AlexNet": {
        "conv1": (55, 55, 96),
        "pool1": (27, 27, 96),
        "pool2": (13, 13, 256),
        "conv3": (13, 13, 384),
        "conv4_tower2": (13, 13, 192),
        "pool5": (6, 6, 256),
        "fc6": (4096,),
        "network": (1000,),
    },
    "VGG16": {
        "conv1_2": (224, 224, 64),
        "pool1": (112, 112, 64),
        "pool2": (56, 56, 128),
        "pool3": (28, 28, 256),
        "pool4": (14, 14, 512),
        "pool5": (7, 7, 512),
        "fc7": (4096,),
    },
    "GoogLeNet": {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2": (56, 56, 192),
        "pool2": (28, 28, 192),
        "inception_3a": (28, 28, 256),
        "inception_3b": (28, 28, 480),
        "inception_4a": (14, 14, 512),
        "inception_4e": (14, 14, 832),
        "inception_5b": (7, 7, 1024),
        "auxiliary_4a/conv": (4, 4, 128),
        "auxiliary_4d": (1000,),
    },
    "ResNet50": {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "layer1_2": (56, 56, 256),
        "layer2_3": (28, 28, 512),
        "layer3_5": (14, 14, 1024),
        "layer4_2": (7, 7, 2048),
    },
    "ResNet18": {"layer1_1": (56, 56, 64), "layer4_1": (7, 7, 512)},
    "DenseNet121": {
        "conv0": (112, 112, 64),
        "pool0": (56, 56, 64),
        "denseblock1_denselayer6": (56, 56, 256),
        "transition1": (28, 28, 128),
        "transition2": (14, 14, 256),
        "transition3": (7, 7, 512),
        "denseblock4_denselayer16": (7, 7, 1024),
    },
}


@pytest.mark.parametrize("name", STAGES)
def test_published_stages(name):
    _, stages = traced(name, IMAGENET)
    expected = STAGES[name]
    assert {stage: stages[stage] for stage in expected} == expected


def test_stages_of_the_networks_for_cifar():
    _, stages = traced("ResNet20", CIFAR)
    assert stages["layer1_2"] == (32, 32, 16)
    assert stages["layer3_2"] == (8, 8, 64)
    _, stages = traced("CifarTutorial", (24, 24, 3))
    assert [stages[name] for name in ("pool1", "pool2", "local3", "local4")] == [
        (12, 12, 64),
        (6, 6, 64),
        (384,),
        (192,),
    ]
    _, stages = traced("CifarTutorial", (24, 24, 3), (("locally_connected", True),))
    assert (stages["local3"], stages["local4"]) == ((6, 6, 64), (6, 6, 32))


@pytest.mark.fast
def test_googlenet_inception_weights_of_table_1():
    """In units of 1024 weights, without biases: the paper prints 159 for 3a and 380 for 3b."""
    variables, _ = traced("GoogLeNet", IMAGENET)
    for name, printed in {"3a": 159, "3b": 380}.items():
        layers = variables["params"][f"inception_{name}"].values()
        weights = sum(layer["kernel"].size for layer in layers)
        assert abs(weights / 1024 - printed) <= 1


def test_googlenet_gives_the_logits_of_its_heads():
    variables, _ = traced("GoogLeNet", IMAGENET)
    x = jax.ShapeDtypeStruct((2, *IMAGENET), jnp.float32)
    model = models.GoogLeNet()
    heads = jax.eval_shape(lambda v, x: model.apply(v, x, method="outputs"), variables, x)
    assert {name: head.shape for name, head in heads.items()} == dict.fromkeys(
        ("auxiliary_4a", "auxiliary_4d", "network"), (2, 1000)
    )


def test_published_multiply_adds():
    """VGG-16 15.5 and ResNet-18 1.8 thousand million for one image, as the papers have it."""
    for name, expected in (("VGG16", 15.5), ("ResNet18", 1.8)):
        variables, _ = traced(name, IMAGENET)
        x = jax.ShapeDtypeStruct((1, *IMAGENET), jnp.float32)
        found = multiply_adds(getattr(models, name)().apply, variables, x)
        assert round(found / 1e9, 1) == expected


@pytest.mark.fast
def test_residual_shortcuts_without_weights_subsample_and_pad():
    """With all convolutions zero a block is its shortcut and ReLU."""
    from cnnjax.models.blocks import he_conv
    from cnnjax.models.resnet import ResidualBlock

    block = ResidualBlock(4, 2, False, False, he_conv, None)
    x = jnp.abs(jax.random.normal(jax.random.key(0), (1, 4, 4, 2)))
    variables = jax.tree.map(jnp.zeros_like, block.init(jax.random.key(1), x))
    z = block.apply(variables, x)
    np.testing.assert_array_equal(z[..., :2], x[:, ::2, ::2])
    np.testing.assert_array_equal(z[..., 2:], jnp.zeros((1, 2, 2, 2)))


@pytest.mark.fast
def test_the_local_layers_of_the_tutorial_have_one_kernel_a_position():
    variables, _ = traced("CifarTutorial", (24, 24, 3), (("locally_connected", True),))
    assert variables["params"]["local3"]["kernel"].shape == (6, 6, 3, 3, 64, 64)
    assert LocalConv(32, 3).init(jax.random.key(0), jnp.zeros((1, 6, 6, 2)))["params"][
        "kernel"
    ].shape == (6, 6, 3, 3, 2, 32)
