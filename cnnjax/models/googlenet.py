"""GoogLeNet: nine inception modules."""

import functools
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import AveragePool, GlobalAveragePool, LocalResponseNorm, MaxPool
from cnnjax.models.blocks import Convolution, batch_norm, flatten, he_conv

INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of each module: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, after pooling (table 1)."""

Norm = Callable[[str], nn.Module] | None
"""Constructor of a batch normalisation of this name; None: there is none."""


class Inception(nn.Module):
    """Windows of 1x1, 3x3 and 5x5 and a pooling, side by side, their channels put together.

    Source: Szegedy et al., Going deeper with convolutions, 2015, figure 2b.
    """

    features: tuple[int, ...]
    """1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, after pooling."""
    conv: Convolution
    """Constructor of the convolutions."""
    norm: Norm = None
    """Constructor of a batch normalisation behind each convolution."""
    largest: int = 5
    """Height and width of the largest window."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[batch, height, width, in]` to `[batch, height, width, out]`."""

        def convolve(x: jax.Array, features: int, size: int, name: str) -> jax.Array:
            return convolution(self.conv, x, features, size, name, norm=self.norm)

        one, reduce_three, three, reduce_five, five, after_pooling = self.features
        pooled = MaxPool(3, strides=1, padding="SAME", name="pool")(x)
        branches = (
            convolve(x, one, 1, "conv1x1"),
            convolve(convolve(x, reduce_three, 1, "reduce3x3"), three, 3, "conv3x3"),
            convolve(convolve(x, reduce_five, 1, "reduce5x5"), five, self.largest, "conv5x5"),
            convolve(pooled, after_pooling, 1, "project"),
        )
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryHead(nn.Module):
    """A classifier half way up, which gives the lower layers a gradient of their own.

    Source: Szegedy et al., Going deeper with convolutions, 2015, section 5.
    """

    classes: int
    """Number of classes."""
    conv: Convolution
    """Constructor of the convolution."""
    norm: Norm = None
    """Constructor of a batch normalisation; with one, means over 4x4 regions as torchvision's."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, 14, 14, channels]` to logits `[batch, classes]`."""
        x = AveragePool(5, strides=3, name="pool")(x) if self.norm is None else region_means(x, 4)
        x = flatten(convolution(self.conv, x, 128, 1, "conv", norm=self.norm))
        x = nn.relu(nn.Dense(1024, name="fc")(x))
        x = nn.Dropout(0.7, deterministic=not train)(x)
        return nn.Dense(self.classes, name="classifier")(x)


class GoogLeNet(nn.Module):
    """GoogLeNet, for images 224x224x3, as published: 5x5 windows, biases, no batch normalisation.

    Parameters: 6,998,552, and 6,379,728 of the two auxiliary heads: 13,378,280 (as Caffe's model).
    Source: Szegedy et al., Going deeper with convolutions, 2015, table 1.
    """

    image_shape: ClassVar[tuple[int, ...]] = (224, 224, 3)
    """Shape of an image, as published."""
    classes: int = 1000
    """Number of classes."""
    conv: Convolution = he_conv
    """Constructor of the convolutions."""
    auxiliary: bool = True
    """Whether there are auxiliary heads on the modules 4a and 4d; for 224x224 they fit."""
    dropout_rate: float = 0.4
    """Dropout rate of the input of the classifier."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, 3]` to logits `[batch, classes]`."""
        found = self.outputs(x, train)
        logits = found.pop("network")
        if train:
            for name, others in found.items():
                self.sow("auxiliary", name, others)
        return logits

    @nn.compact
    def outputs(self, x: jax.Array, train: bool = False) -> dict[str, jax.Array]:
        """The logits under 'network', and those of the auxiliary heads under 'auxiliary_4a' and
        'auxiliary_4d'; in the paper's loss the latter two count 0.3 each. In training the call sows
        them in the collection 'auxiliary'."""
        found = {}
        norm = self._norm(train)
        x = convolution(self.conv, x, 64, 7, "conv1", stride=2, norm=norm)
        x = self._halve(x, "pool1")
        x = self._respond(x, "norm1")
        x = convolution(self.conv, x, 64, 1, "reduce2", norm=norm)
        x = convolution(self.conv, x, 192, 3, "conv2", norm=norm)
        x = self._respond(x, "norm2")
        x = self._halve(x, "pool2")
        for name, features in INCEPTIONS.items():
            x = self._inception(features, norm, f"inception_{name}")(x)
            if self.auxiliary and name in ("4a", "4d"):
                head = AuxiliaryHead(self.classes, self.conv, norm, name=f"auxiliary_{name}")
                found[f"auxiliary_{name}"] = head(x, train)
            if name in ("3b", "4e"):
                x = self._halve(x, f"pool{name[0]}")
        x = GlobalAveragePool(name="pool5")(x)
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        found["network"] = nn.Dense(self.classes, name="classifier")(x)
        return found

    def _norm(self, train: bool) -> Norm:
        del train

    def _halve(self, x: jax.Array, name: str) -> jax.Array:
        return MaxPool(3, strides=2, padding="SAME", name=name)(x)

    def _respond(self, x: jax.Array, name: str) -> jax.Array:
        return LocalResponseNorm(bias=1.0, alpha=2e-5, name=name)(x)

    def _inception(self, features: tuple[int, ...], norm: Norm, name: str) -> Inception:
        return Inception(features, self.conv, norm, name=name)


class GoogLeNetBatchNorm(GoogLeNet):
    """GoogLeNet with batch normalisation, for images 224x224x3; the one that torchvision has.

    Windows of 3x3 in place of 5x5, no biases of convolutions, no local response normalisation, and
    a last pooling of 2x2. Images are standardised as for ImageNet, and the network brings them to
    -1 to 1 itself, as torchvision's weights expect. Parameters: 6,624,904, and 6,379,984 of the two
    auxiliary heads: 13,004,888.
    Source: torchvision, `googlenet`, after Szegedy et al., 2015, and Ioffe, Szegedy, Batch
    normalization, 2015.
    """

    dropout_rate: float = 0.2
    axis_name: str | None = "batch"
    """Axis of the devices over which batch normalisation averages in training; None: not at all."""

    def outputs(self, x: jax.Array, train: bool = False) -> dict[str, jax.Array]:
        """As `GoogLeNet.outputs`."""
        mean, std = (
            jnp.array(each, x.dtype).reshape(1, 1, 1, 3)
            for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        return super().outputs((x * std + mean - 0.5) / 0.5, train)

    def _norm(self, train: bool) -> Norm:
        return functools.partial(batch_norm, train=train, axis_name=self.axis_name, epsilon=1e-3)

    def _halve(self, x: jax.Array, name: str) -> jax.Array:
        size = 2 if name == "pool4" else 3
        return MaxPool(size, strides=2, ceil_mode=True, name=name)(x)

    def _respond(self, x: jax.Array, name: str) -> jax.Array:
        del name
        return x

    def _inception(self, features: tuple[int, ...], norm: Norm, name: str) -> Inception:
        return Inception(features, self.conv, norm, largest=3, name=name)


def convolution(
    conv: Convolution,
    x: jax.Array,
    features: int,
    size: int,
    name: str,
    stride: int = 1,
    norm: Norm = None,
) -> jax.Array:
    """A square convolution, batch normalisation in place of its bias if there is any, and ReLU."""
    # Where a stride of 2 meets an even size, SAME pads one pixel less before than behind.
    unbiased = {} if norm is None else {"use_bias": False}
    layer = conv(
        features=features,
        kernel_size=(size, size),
        strides=(stride, stride),
        padding="SAME" if norm is None else size // 2,
        name=name,
        **unbiased,
    )
    x = layer(x)
    return nn.relu(x if norm is None else norm(f"{name}_bn")(x))


def region_means(x: jax.Array, size: int) -> jax.Array:
    """Means `[batch, size, size, channels]` of regions that cover an image of any size.

    Along an axis of n pixels, region i is from `floor(i n / size)` to `ceil((i + 1) n / size)`.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        regions = [
            jax.lax.slice_in_dim(x, i * n // size, -(-(i + 1) * n // size), axis=axis)
            for i in range(size)
        ]
        x = jnp.stack([region.mean(axis) for region in regions], axis=axis)
    return x
