"""Weights that were trained elsewhere: files of torchvision's naming, read into our networks."""

import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnnjax.models.alexnet import AlexNet
from cnnjax.models.densenet import DenseNet
from cnnjax.models.googlenet import GoogLeNetBatchNorm
from cnnjax.models.resnet import ResNet
from cnnjax.models.vgg import VGG

Weights = Mapping[str, np.ndarray]

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": jnp.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
_ALEXNET = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}
_AUXILIARY_CHANNELS = 128
"""Channels that a head of GoogLeNet flattens."""
_GOOGLENET = {
    "reduce2": "conv2",
    "conv2": "conv3",
    "classifier": "fc",
    "conv1x1": "branch1",
    "reduce3x3": "branch2.0",
    "conv3x3": "branch2.1",
    "reduce5x5": "branch3.0",
    "conv5x5": "branch3.1",
    "project": "branch4.1",
    "auxiliary_4a": "aux1",
    "auxiliary_4d": "aux2",
}


def load_weights(
    path: str | Path, model: nn.Module, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Variables of a network from a file of torchvision's names, whose logits it then gives.

    Images are to be standardised as the weights were trained: for torchvision's, RGB in 0 to 1 less
    (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).

    Args:
      path: `.safetensors` or `.npz` file.
      model: ResNet, DenseNet, VGG, AlexNetOneTower or GoogLeNetBatchNorm, of standard convolutions.
      variables: what `model.init` returns, or its shapes from `jax.eval_shape`.

    Returns:
      'params', and 'batch_stats' where the network has them, in float32.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the network has no such names, or the file is of another kind, is damaged, lacks
        an array, has one of another shape, or one more than the network.
    """
    weights = {
        _current_name(name): array
        for name, array in read_weights(path).items()
        if not name.endswith("num_batches_tracked")
    }
    their_module = _module_names(model)
    used = set()

    def found(place: tuple, leaf: Any) -> jax.Array:
        collection, *modules, kind = (entry.key for entry in place)
        name = f"{their_module(modules)}.{_LEAVES[collection, kind]}"
        if name not in weights:
            raise ValueError(f"{path} lacks {name!r}, of shape {leaf.shape} here.")
        used.add(name)
        array = _our_layout(weights[name], _flattened_channels(model, modules))
        if array.shape != leaf.shape:
            raise ValueError(
                f"{name!r} of {path} must have shape {leaf.shape} as the network has it, got "
                f"{array.shape} (in the file {weights[name].shape})."
            )
        return jnp.asarray(array, jnp.float32)

    loaded = jax.tree_util.tree_map_with_path(found, dict(variables))
    if len(used) < len(weights):
        raise ValueError(f"The network has no place for {sorted(set(weights) - used)} of {path}.")
    return loaded


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Arrays by name from a `.safetensors` or `.npz` file; neither can run code.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: another kind of file, or one that is not what its name says.
    """
    path = Path(path)
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise ValueError(f"A file of weights must end in .safetensors or .npz, got {str(path)!r}.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights {path}.")
    return readers[path.suffix](path)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of arrays: {error}.") from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Eight bytes of length, a header in JSON, then the numbers, little-endian."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < start or start < 10:
        raise ValueError(f"{path} is no safetensors file: it ends within its header.")
    try:
        header = json.loads(data[8:start])
        places = {
            name: (entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no safetensors file: its header is damaged.") from error
    arrays = {}
    for name, (kind, shape, begin, end) in places.items():
        if kind not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise ValueError(
                f"The type of {name!r} of {path} must be one of {known}, got {kind!r}."
            )
        dtype = np.dtype(_DTYPES[kind]).newbyteorder("<")
        if start + end > len(data) or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{path} is damaged: {name!r} does not fill its place.")
        arrays[name] = np.frombuffer(data[start + begin : start + end], dtype).reshape(shape)
    return arrays


def _module_names(model: nn.Module) -> Callable[[list[str]], str]:
    """From the names of modules on the way to a weight, torchvision's name of the last."""
    if isinstance(model, ResNet):
        parts = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
        return lambda modules: ".".join(parts.get(m, m.replace("_", ".")) for m in modules)
    if isinstance(model, DenseNet):
        return lambda modules: ".".join(
            [*(["features"] if modules != ["classifier"] else []), *modules]
        ).replace("_", ".")
    if isinstance(model, VGG):
        names = _vgg_names(model)
        return lambda modules: names[modules[0]]
    if isinstance(model, AlexNet) and model.towers == 1 and not model.normalization:
        return lambda modules: _ALEXNET[modules[0]]
    if isinstance(model, GoogLeNetBatchNorm):
        return _googlenet_name
    raise ValueError(
        "The model of torchvision's weights must be ResNet, DenseNet, VGG, AlexNetOneTower or "
        f"GoogLeNetBatchNorm, got {type(model).__name__}."
    )


def _googlenet_name(modules: list[str]) -> str:
    """A convolution and its batch normalisation are `conv` and `bn` of one module."""
    *above, last = modules
    if above and above[0].startswith("auxiliary"):
        names = {"fc": "fc1", "classifier": "fc2", "conv": "conv.conv", "conv_bn": "conv.bn"}
        return f"{_GOOGLENET[above[0]]}.{names[last]}"
    own = last.removesuffix("_bn")
    part = [] if own == "classifier" else ["bn" if own != last else "conv"]
    return ".".join([name.replace("_", "") for name in above] + [_GOOGLENET.get(own, own), *part])


def _flattened_channels(model: nn.Module, modules: list[str]) -> int | None:
    """Channels of the volume that the dense layer at this path takes flattened, if it takes one."""
    if modules == ["fc6"]:
        return model.features[-1]
    if isinstance(model, GoogLeNetBatchNorm) and modules[1:] == ["fc"]:
        return _AUXILIARY_CHANNELS
    return None


def _vgg_names(model: VGG) -> dict[str, str]:
    """Convolutions stand in a list with their ReLUs, and with the poolings that end the stages."""
    names, index = {"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"}, 0
    for stage, depth in enumerate(model.depths, start=1):
        for number in range(1, depth + 1):
            names[f"conv{stage}_{number}"] = f"features.{index}"
            index += 2
        index += 1
    return names


def _current_name(name: str) -> str:
    """The layers of a dense block have `norm1` where torchvision's older files have `norm.1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", name)


def _our_layout(array: np.ndarray, channels: int | None) -> np.ndarray:
    """Inputs before outputs, and window or space before channels.

    Args:
      array: `[out, in, *window]`, `[out, in]`, or a vector.
      channels: number of channels of the square volume `[channels, height, width]` that a dense
        layer takes flattened; None where it takes a vector.
    """
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim == 2 and channels:
        side = math.isqrt(array.shape[1] // channels)
        if channels * side * side == array.shape[1]:
            volume = array.reshape(array.shape[0], channels, side, side)
            return volume.transpose(2, 3, 1, 0).reshape(-1, array.shape[0])
    return array.T
