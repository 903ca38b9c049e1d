"""The layers that `benchmark` compares, as each competitor has them.

Every layer is a function of a batch of images and its parameters, without bias. Parameters are
drawn in cnnjax's layout; `convert` makes those of the competitor, and its transpose brings
gradients back, so that the results of all are comparable.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from cnnjax import ops
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import keras  # ty: ignore[import-not-found]
    import torch  # ty: ignore[import-not-found]

GROUPS, RANK, SIZE = 4, 4, 9
"""Groups of the grouped convolution, kernels of the low-rank one, channels of LRN's sums."""
ALPHA, BETA = 1e-3 / SIZE, 0.75
"""Strength and exponent of LRN."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer as a competitor has it."""

    function: Callable[..., Any]
    """From x `[batch, side, side, channels]` and parameters to the output."""
    convert: Callable[..., tuple] = lambda *parameters: parameters
    """Parameters in the competitor's layout, a linear function of those in cnnjax's."""
    same: bool = True
    """Whether it is the same function; otherwise it only has as many operations."""


def shapes(layer: str, *, batch: int, side: int, channels: int, features: int, kernel: int) -> list:
    """Shapes of the input and of the parameters, in cnnjax's layout."""
    x, window = (batch, side, side, channels), (kernel, kernel)
    volume, bank = (batch, side, side, features), (*window, channels, features)
    return {
        "standard": [x, bank],
        "depthwise": [x, (*window, 1, channels)],
        "grouped": [x, (*window, channels // GROUPS, features)],
        "transposed": [x, bank],
        "local": [x, (side, side, *bank)],
        **{f"tiled {tile}": [x, (tile, tile, *bank)] for tile in (2, 3, 4)},
        "low rank": [x, (RANK, *bank), (side, side, RANK)],
        "group": [(*x[:3], 4, channels // 4), (*window, 4, channels // 4, features // 4)],
        "LRN": [volume],
        "max pooling": [volume],
        "average pooling": [volume],
    }[layer]


def cnnjax_layers(groups: int) -> dict[str, Layer]:
    """The operators of cnnjax; `groups` are those of the grouped and depthwise convolutions."""
    conv = Layer(functools.partial(ops.conv, feature_group_count=groups))
    return {
        **dict.fromkeys(("standard", "depthwise", "grouped"), conv),
        "transposed": Layer(functools.partial(ops.conv_transpose, strides=2)),
        "local": Layer(ops.local_conv),
        **dict.fromkeys(("tiled 2", "tiled 3", "tiled 4"), Layer(ops.tiled_conv)),
        "low rank": Layer(ops.low_rank_local_conv),
        "group": Layer(ops.group_conv),
        "LRN": Layer(
            functools.partial(
                ops.local_response_normalization, radius=SIZE // 2, alpha=ALPHA, beta=BETA
            )
        ),
        "max pooling": Layer(functools.partial(ops.max_pool, window_shape=2, strides=2)),
        "average pooling": Layer(functools.partial(ops.average_pool, window_shape=2, strides=2)),
    }


def flax_layers(groups: int) -> dict[str, Layer]:
    """Flax's own layers; where it has none, its convolution with as many operations."""

    def applied(kind: Callable[..., nn.Module], x: Any, kernel: Any, window: int, **options: Any):
        layer = kind(kernel.shape[-1], (window, window), use_bias=False, **options)
        return layer.apply({"params": {"kernel": kernel}}, x)

    def conv(x, kernel):
        return applied(nn.Conv, x, kernel, kernel.shape[0], feature_group_count=groups)

    def local(x, kernel):  # [side, side, channels * window, features]
        window = math.isqrt(kernel.shape[2] // x.shape[-1])
        return applied(nn.ConvLocal, x, kernel, window)

    def stacked(x, kernel):
        return conv(x.reshape(*x.shape[:3], -1), kernel)

    def normalized(x):
        sums = lax.reduce_window(x * x, 0.0, lax.add, (1, 1, 1, SIZE), (1, 1, 1, 1), "SAME")
        return x / (1 + ALPHA * sums) ** BETA

    def positions(kernel):
        return (kernel.transpose(0, 1, 4, 2, 3, 5).reshape(*kernel.shape[:2], -1, kernel.shape[5]),)

    def wide(kernels, weights):
        return (jnp.concatenate([*kernels], axis=-1),)

    def of_group(kernel):
        return (jnp.tile(kernel.reshape(*kernel.shape[:2], -1, kernel.shape[4]), 4),)

    first = Layer(conv, lambda kernel: (kernel[0, 0],), same=False)
    return {
        **dict.fromkeys(("standard", "depthwise", "grouped"), Layer(conv)),
        "transposed": Layer(
            lambda x, kernel: applied(nn.ConvTranspose, x, kernel, len(kernel), strides=(2, 2))
        ),
        "local": Layer(local, positions),
        **dict.fromkeys(("tiled 2", "tiled 3", "tiled 4"), first),
        "low rank": Layer(conv, wide, same=False),
        "group": Layer(stacked, of_group, same=False),
        "LRN": Layer(normalized),
        "max pooling": Layer(lambda x: nn.max_pool(x, (2, 2), (2, 2))),
        "average pooling": Layer(lambda x: nn.avg_pool(x, (2, 2), (2, 2))),
    }


def keras_layers(groups: int) -> dict[str, Layer]:
    """The operators of Keras on its jax backend."""
    del groups  # those of the kernel's shape
    conv = Layer(lambda x, kernel: keras.ops.conv(x, kernel, padding="same"))
    return {
        **dict.fromkeys(("standard", "grouped"), conv),
        "depthwise": Layer(
            lambda x, kernel: keras.ops.depthwise_conv(x, kernel, padding="same"),
            lambda kernel: (kernel.swapaxes(2, 3),),
        ),
        "max pooling": Layer(lambda x: keras.ops.max_pool(x, 2)),
        "average pooling": Layer(lambda x: keras.ops.average_pool(x, 2)),
    }


def torch_layers(groups: int) -> dict[str, Layer]:
    """What one writes in PyTorch, on `[batch, channels, side, side]` in memory channels last."""
    F = torch.nn.functional

    def transposed(x, kernel):
        # SAME as of jax: what lies before is half of the border, rounded up, and cut off.
        window, sides = kernel.shape[-1], [2 * side for side in x.shape[2:]]
        low = window - 1 - (window - 1 if window < 3 else -(-window // 2))
        z = F.conv_transpose2d(x, kernel, stride=2)
        return z[:, :, low : low + sides[0], low : low + sides[1]]

    def local(x, kernel):  # [positions, channels * window, features]
        window = math.isqrt(kernel.shape[1] // x.shape[1])
        patches = F.unfold(x, window, padding=window // 2).permute(2, 0, 1)
        return torch.bmm(patches, kernel).permute(1, 2, 0).unflatten(2, x.shape[2:])

    def tiled(x, kernel):
        tile, half = len(kernel), kernel.shape[-1] // 2
        z = x.new_empty(len(x), kernel.shape[2], *x.shape[2:])
        x = F.pad(x, (half, half, half, half))
        for row in range(tile):
            for column in range(tile):
                part = F.conv2d(x[:, :, row:, column:], kernel[row, column], stride=tile)
                z[:, :, row::tile, column::tile] = part
        return z

    def low_rank(x, kernel, weights):
        z = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2).unflatten(1, (RANK, -1))
        return (z * weights[:, None]).sum(1)

    conv = Layer(
        lambda x, kernel: F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=groups),
        lambda kernel: (kernel.permute(3, 2, 0, 1),),
    )
    bank = Layer(tiled, lambda kernel: (kernel.permute(0, 1, 5, 4, 2, 3),))
    return {
        **dict.fromkeys(("standard", "depthwise", "grouped"), conv),
        "transposed": Layer(
            transposed, lambda kernel: (kernel.flip(0, 1).permute(2, 3, 0, 1).contiguous(),)
        ),
        "local": Layer(
            local,
            lambda kernel: (kernel.permute(0, 1, 4, 2, 3, 5).flatten(2, 4).flatten(0, 1),),
        ),
        **dict.fromkeys(("tiled 2", "tiled 3", "tiled 4"), bank),
        "low rank": Layer(
            low_rank,
            lambda kernels, weights: (
                kernels.permute(0, 4, 3, 1, 2).flatten(0, 1),
                weights.permute(2, 0, 1),
            ),
        ),
        # PyTorch divides alpha by the number of channels.
        "LRN": Layer(lambda x: F.local_response_norm(x, SIZE, ALPHA * SIZE, BETA, 1.0)),
        "max pooling": Layer(lambda x: F.max_pool2d(x, 2)),
        "average pooling": Layer(lambda x: F.avg_pool2d(x, 2)),
    }
