"""Weights of torchvision's naming: found, laid out, and used as where they came from."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.models.pretrained import load_weights, read_weights

STANDARD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's channels, as torchvision standardises them."""


def write_safetensors(path, arrays):
    """The format by its description: length of the header, header, numbers one after another."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    names = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64", np.dtype(np.float16): "F16"}
    for name, array in arrays.items():
        end = offset + array.nbytes
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def convolve(x, weight, stride=1, padding=1):
    """`[batch, channels, height, width]` and `[out, in, rows, columns]`, as torch has them."""
    z = jax.lax.conv(x, weight, (stride, stride), [(padding, padding)] * 2)
    return np.asarray(z)


def max_pool(x):
    batch, channels, height, width = x.shape
    return x.reshape(batch, channels, height // 2, 2, width // 2, 2).max((3, 5))


def normalise(x, weights, name):
    weight, bias, mean, var = (
        weights[f"{name}.{part}"].reshape(1, -1, 1, 1)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def add_norm(weights, random, name, channels):
    weights[f"{name}.weight"] = normal(random, channels)
    weights[f"{name}.bias"] = normal(random, channels)
    weights[f"{name}.running_mean"] = normal(random, channels)
    weights[f"{name}.running_var"] = random.uniform(0.5, 2, channels).astype(np.float32)
    weights[f"{name}.num_batches_tracked"] = np.array(7)


def shapes(model, image_shape):
    """Shapes of all variables of a network for images of this shape."""
    x = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), x)


def logits_of(model, file, x):
    """Logits of images `[batch, channels, height, width]`."""
    images = x.transpose(0, 2, 3, 1)
    variables = load_weights(file, model, shapes(model, images.shape[1:]))
    return jax.jit(model.apply)(variables, images)


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_vgg_gives_the_logits_of_its_weights(tmp_path, suffix):
    """Two stages of 1 and 2 convolutions: features 0, 3 and 5; what is flattened is a volume."""
    random = np.random.default_rng(0)
    shapes = {
        "features.0": (4, 3, 3, 3),
        "features.3": (6, 4, 3, 3),
        "features.5": (6, 6, 3, 3),
        "classifier.0": (10, 6 * 2 * 2),
        "classifier.3": (10, 10),
        "classifier.6": (5, 10),
    }
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = normal(random, *shape) / 3
        weights[f"{name}.bias"] = normal(random, shape[0])
    file = tmp_path / f"vgg.{suffix}"
    if suffix == "npz":
        np.savez(file, **weights)
    else:
        write_safetensors(file, weights)

    x = normal(random, 2, 3, 8, 8)
    z = x
    for name in ("features.0", "features.3", "features.5"):
        z = convolve(z, weights[f"{name}.weight"]) + weights[f"{name}.bias"].reshape(1, -1, 1, 1)
        z = np.maximum(z, 0)
        if name != "features.3":
            z = max_pool(z)
    z = z.reshape(2, -1)
    for name in ("classifier.0", "classifier.3", "classifier.6"):
        z = z @ weights[f"{name}.weight"].T + weights[f"{name}.bias"][None]
        if name != "classifier.6":
            z = np.maximum(z, 0)
    model = models.VGG(classes=5, depths=(1, 2), features=(4, 6), hidden=10)
    np.testing.assert_allclose(logits_of(model, file, x), z, rtol=1e-4, atol=1e-4)


def test_a_residual_stage_with_projection_gives_the_logits_of_its_weights(tmp_path):
    random = np.random.default_rng(1)
    weights = {"conv1.weight": normal(random, 4, 3, 7, 7) / 6}
    add_norm(weights, random, "bn1", 4)
    for stage, (inputs, features) in ((1, (4, 4)), (2, (4, 6))):
        block = f"layer{stage}.0"
        weights[f"{block}.conv1.weight"] = normal(random, features, inputs, 3, 3) / 6
        weights[f"{block}.conv2.weight"] = normal(random, features, features, 3, 3) / 6
        add_norm(weights, random, f"{block}.bn1", features)
        add_norm(weights, random, f"{block}.bn2", features)
    weights["layer2.0.downsample.0.weight"] = normal(random, 6, 4, 1, 1)
    add_norm(weights, random, "layer2.0.downsample.1", 6)
    weights["fc.weight"], weights["fc.bias"] = normal(random, 5, 6), normal(random, 5)
    file = tmp_path / "resnet.safetensors"
    write_safetensors(file, weights)

    x = normal(random, 2, 3, 16, 16)
    z = convolve(x, weights["conv1.weight"], 2, 3)
    z = np.maximum(normalise(z, weights, "bn1"), 0)
    z = jax.lax.reduce_window(
        z, -jnp.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, 2, 2), [(0, 0)] * 2 + [(1, 1)] * 2
    )
    for block, stride in (("layer1.0", 1), ("layer2.0", 2)):
        short = z
        z = normalise(
            convolve(z, weights[f"{block}.conv1.weight"], stride), weights, f"{block}.bn1"
        )
        z = np.maximum(z, 0)
        z = normalise(convolve(z, weights[f"{block}.conv2.weight"]), weights, f"{block}.bn2")
        if stride == 2:
            short = convolve(short, weights[f"{block}.downsample.0.weight"], 2, 0)
            short = normalise(short, weights, f"{block}.downsample.1")
        z = np.maximum(z + short, 0)
    expected = z.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"][None]
    model = models.ResNet(classes=5, depths=(1, 1), features=(4, 6))
    np.testing.assert_allclose(logits_of(model, file, x), expected, rtol=1e-4, atol=1e-4)


def largest_of_windows(x, size, stride, padding=0):
    """torch's max pooling with `ceil_mode=True`, in a loop over windows."""
    x = np.pad(x, ((0, 0), (0, 0), *[(padding, padding)] * 2), constant_values=-np.inf)
    positions = [-(-(n - size) // stride) + 1 for n in x.shape[2:]]
    z = np.empty((*x.shape[:2], *positions))
    for i, j in np.ndindex(*positions):
        window = x[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
        z[:, :, i, j] = window.max((2, 3))
    return z


def test_googlenet_gives_the_logits_of_its_weights(tmp_path, monkeypatch):
    """torchvision's network by its source, with narrow modules: names, windows, epsilon 0.001."""
    random = np.random.default_rng(2)
    weights = {}
    narrow = dict.fromkeys(
        ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), (3, 2, 4, 2, 3, 2)
    )
    monkeypatch.setattr("cnnjax.models.googlenet.INCEPTIONS", narrow)

    def unit(x, name, features, size, stride=1):
        """torchvision's BasicConv2d."""
        inputs = x.shape[1]
        kernel = normal(random, features, inputs, size, size) / np.sqrt(inputs * size**2 / 2)
        weights[f"{name}.conv.weight"] = kernel.astype(np.float32)
        add_norm(weights, random, f"{name}.bn", features)
        z = convolve(np.float32(x), weights[f"{name}.conv.weight"], stride, size // 2)
        scale, shift, mean, var = (
            weights[f"{name}.bn.{part}"].reshape(1, -1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return np.maximum((np.asarray(z) - mean) / np.sqrt(var + 1e-3) * scale + shift, 0)

    def inception(x, name):
        one, reduce_three, three, reduce_five, five, projected = narrow[name]
        name = f"inception{name}"
        two = unit(x, f"{name}.branch2.0", reduce_three, 1)
        small = unit(x, f"{name}.branch3.0", reduce_five, 1)
        branches = [
            unit(x, f"{name}.branch1", one, 1),
            unit(two, f"{name}.branch2.1", three, 3),
            unit(small, f"{name}.branch3.1", five, 3),
            unit(largest_of_windows(x, 3, 1, 1), f"{name}.branch4.1", projected, 1),
        ]
        return np.concatenate(branches, 1)

    def linear(x, name, features):
        weights[f"{name}.weight"] = normal(random, features, x.shape[1]) / np.sqrt(x.shape[1])
        weights[f"{name}.bias"] = normal(random, features)
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def head(x, name):
        n = x.shape[2]
        regions = [(i * n // 4, -(-(i + 1) * n // 4)) for i in range(4)]
        means = [[x[:, :, a:b, c:d].mean((2, 3)) for c, d in regions] for a, b in regions]
        z = unit(np.moveaxis(np.array(means), (0, 1), (2, 3)), f"{name}.conv", 128, 1)
        return linear(
            np.maximum(linear(z.reshape(len(z), -1), f"{name}.fc1", 1024), 0), f"{name}.fc2", 5
        )

    x = normal(random, 2, 3, 42, 42)
    mean, std = (np.array(each).reshape(1, 3, 1, 1) for each in STANDARD)
    z = unit((x * std + mean - 0.5) / 0.5, "conv1", 64, 7, 2)
    z = unit(largest_of_windows(z, 3, 2), "conv2", 64, 1)
    z = largest_of_windows(unit(z, "conv3", 192, 3), 3, 2)
    expected = {}
    for name in narrow:
        z = inception(z, name)
        if name in ("4a", "4d"):
            expected[f"auxiliary_{name}"] = head(z, "aux1" if name == "4a" else "aux2")
        if name in ("3b", "4e"):
            z = largest_of_windows(z, 3 if name == "3b" else 2, 2)
    expected["network"] = linear(z.mean((2, 3)), "fc", 5)
    file = tmp_path / "googlenet.npz"
    np.savez(file, **weights)
    model, images = models.GoogLeNetBatchNorm(classes=5), x.transpose(0, 2, 3, 1)
    variables = load_weights(file, model, shapes(model, images.shape[1:]))
    found = jax.jit(lambda v, x: model.apply(v, x, method="outputs"))(variables, images)
    for name, logits in expected.items():
        np.testing.assert_allclose(found[name], logits, rtol=1e-3, atol=1e-3, err_msg=name)


def some_weights(model, image_shape, names):
    """A file's worth of arrays by the names that a test expects, shaped as the network needs."""
    variables = shapes(model, image_shape)
    arrays = {}
    for number, (theirs, (collection, *path)) in enumerate(names.items()):
        leaf = variables[collection]
        for step in path:
            leaf = leaf[step]
        shape = leaf.shape
        shape = {4: (shape[-1:] + shape[-2:-1] + shape[:2]), 2: shape[::-1]}.get(len(shape), shape)
        arrays[theirs] = np.full(shape, number, np.float32)
    return arrays


def test_names_of_densenet_and_of_alexnet(tmp_path):
    """Written down from torchvision's files: each array, full of its number, lands in its place."""
    places = {
        "features.conv0.weight": ("params", "conv0", "kernel"),
        "features.norm0.weight": ("params", "norm0", "scale"),
        "features.norm0.bias": ("params", "norm0", "bias"),
        "features.norm0.running_mean": ("batch_stats", "norm0", "mean"),
        "features.norm0.running_var": ("batch_stats", "norm0", "var"),
        "features.norm2.weight": ("params", "norm2", "scale"),
        "features.norm2.bias": ("params", "norm2", "bias"),
        "features.norm2.running_mean": ("batch_stats", "norm2", "mean"),
        "features.norm2.running_var": ("batch_stats", "norm2", "var"),
        "classifier.weight": ("params", "classifier", "kernel"),
        "classifier.bias": ("params", "classifier", "bias"),
    }
    layer = "denseblock1", "denselayer1"
    for number in (1, 2):
        theirs, ours = ".".join(("features", *layer)), "_".join(layer)
        places |= {
            f"{theirs}.conv{number}.weight": ("params", ours, f"conv{number}", "kernel"),
            f"{theirs}.norm{number}.weight": ("params", ours, f"norm{number}", "scale"),
            f"{theirs}.norm{number}.bias": ("params", ours, f"norm{number}", "bias"),
            f"{theirs}.norm{number}.running_mean": ("batch_stats", ours, f"norm{number}", "mean"),
            f"{theirs}.norm{number}.running_var": ("batch_stats", ours, f"norm{number}", "var"),
        }
    densenet = models.DenseNet(classes=3, depths=(1,), growth=4, initial_features=8)
    alexnet = models.AlexNetOneTower(classes=3, features=(2, 3, 4, 3, 2))
    alexnet_places = {
        f"{theirs}.{kind}": ("params", ours, "kernel" if kind == "weight" else "bias")
        for theirs, ours in {
            "features.0": "conv1",
            "features.3": "conv2",
            "features.6": "conv3",
            "features.8": "conv4",
            "features.10": "conv5",
            "classifier.1": "fc6",
            "classifier.4": "fc7",
            "classifier.6": "fc8",
        }.items()
        for kind in ("weight", "bias")
    }
    for model, shape, names in (
        (densenet, (32, 32, 3), places),
        (alexnet, (63, 63, 3), alexnet_places),
    ):
        file = tmp_path / "weights.npz"
        arrays = some_weights(model, shape, names)
        # The name of the layer's parts in the older of torchvision's files.
        old = {
            name.replace("denselayer1.norm1", "denselayer1.norm.1"): a for name, a in arrays.items()
        }
        np.savez(file, **old)
        variables = load_weights(file, model, shapes(model, shape))
        assert len(jax.tree.leaves(variables)) == len(names)
        for number, place in enumerate(names.values()):
            leaf = variables
            for step in place:
                leaf = leaf[step]
            assert (leaf == number).all()


def test_what_does_not_fit_is_named(tmp_path):
    model = models.ResNet(classes=3, depths=(1,), features=(2,))
    file = tmp_path / "weights.npz"
    np.savez(file, **{"conv1.weight": np.zeros((2, 3, 7, 7))})
    with pytest.raises(ValueError, match=r"lacks 'bn1\.running_mean'"):
        load_weights(file, model, shapes(model, (16, 16, 3)))
    dense = models.VGG(classes=3, depths=(1,), features=(2,), hidden=4)
    places = {
        f"{theirs}.{kind}": ("params", ours, "kernel" if kind == "weight" else "bias")
        for theirs, ours in {
            "features.0": "conv1_1",
            "classifier.0": "fc6",
            "classifier.3": "fc7",
            "classifier.6": "fc8",
        }.items()
        for kind in ("weight", "bias")
    }
    weights = some_weights(dense, (4, 4, 3), places)
    np.savez(file, **weights, extra=np.zeros(1))
    with pytest.raises(ValueError, match=r"no place for \['extra'\]"):
        load_weights(file, dense, shapes(dense, (4, 4, 3)))
    np.savez(file, **{**weights, "features.0.weight": np.zeros((2, 3, 5, 5))})
    with pytest.raises(ValueError, match=r"must have shape \(3, 3, 3, 2\).*got \(5, 5, 3, 2\)"):
        load_weights(file, dense, shapes(dense, (4, 4, 3)))
    with pytest.raises(ValueError, match=r"must be ResNet.* got LeNet5\."):
        load_weights(file, models.LeNet5(), {})


@pytest.mark.fast
def test_safetensors_are_read_and_damage_is_named(tmp_path):
    file = tmp_path / "some.safetensors"
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array(5),
        "c": np.array([1.5, -2], np.float16),
    }
    write_safetensors(file, arrays)
    found = read_weights(file)
    assert list(found) == ["a", "b", "c"]
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    half = jnp.array([1.5, -3], jnp.bfloat16)
    file.write_bytes(len(header).to_bytes(8, "little") + header + np.asarray(half).tobytes())
    np.testing.assert_array_equal(read_weights(file)["x"].astype(np.float32), [1.5, -3])
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="'x' does not fill its place"):
        read_weights(file)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ValueError, match="ends within its header"):
        read_weights(file)
    with pytest.raises(ValueError, match=r"got 'weights\.pth'"):
        read_weights("weights.pth")
    with pytest.raises(FileNotFoundError, match=r"There is no file of weights .*absent\.npz\."):
        read_weights(tmp_path / "absent.npz")


@pytest.mark.fast
@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"not JSON at all", "its header is damaged"),
        (b"[1, 2, 3]", "its header is damaged"),
        (b'{"x": {"shape": [2]}}', "its header is damaged"),
        (b'{"x": {"dtype": "F8", "shape": [1], "data_offsets": [0, 1]}}', "got 'F8'"),
        (b'{"x": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}', "'x' does not fill"),
    ],
)
def test_what_is_no_file_of_weights_is_one_sentence(tmp_path, header, sentence):
    file = tmp_path / "some.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    with pytest.raises(ValueError, match=sentence):
        read_weights(file)
    file = tmp_path / "some.npz"
    file.write_bytes(header)
    with pytest.raises(ValueError, match=r"some\.npz is no \.npz file"):
        read_weights(file)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "vgg11", "alexnet", "densenet121", "googlenet"]
)
def test_logits_are_those_of_torchvision(tmp_path, name):
    """The whole published networks, with random weights and statistics."""
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    # As torchvision sets it up for its trained weights.
    options = {"transform_input": True, "init_weights": True} if name == "googlenet" else {}
    theirs = getattr(torchvision.models, name)(weights=None, **options).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    file = tmp_path / "weights.npz"
    np.savez(file, **{key: value.numpy() for key, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    ours = {
        "resnet18": models.ResNet18,
        "resnet50": models.ResNet50,
        "vgg11": models.VGG11,
        "alexnet": models.AlexNetOneTower,
        "densenet121": models.DenseNet121,
        "googlenet": models.GoogLeNetBatchNorm,
    }[name]()
    found = logits_of(ours, file, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
