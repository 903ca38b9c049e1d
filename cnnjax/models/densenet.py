"""Densely connected networks: every layer takes all layers of its block below it."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import AveragePool, GlobalAveragePool, MaxPool
from cnnjax.models.blocks import Convolution, ImageNetwork, batch_norm, unbiased


class DenseLayer(nn.Module):
    """Normalisation, ReLU, convolution; its channels are put behind those it read.

    A bottleneck begins with a 1x1 convolution to four times the growth.
    Source: Huang, Liu, van der Maaten, Weinberger, Densely connected convolutional networks, 2017,
    section 3.
    """

    growth: int
    """Channels that the layer adds."""
    bottleneck: bool
    """Whether a 1x1 convolution comes first."""
    conv: Convolution
    """Constructor of the convolutions."""
    axis_name: str | None
    """Axis of the devices over which batch normalisation averages in training."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, height, width, in]` to `[batch, height, width, in + growth]`."""
        z = nn.relu(batch_norm("norm1", train, self.axis_name)(x))
        if self.bottleneck:
            z = unbiased(self.conv, z, 4 * self.growth, 1, "conv1")
            z = nn.relu(batch_norm("norm2", train, self.axis_name)(z))
        z = unbiased(self.conv, z, self.growth, 3, "conv2" if self.bottleneck else "conv1")
        return jnp.concatenate([x, z], axis=-1)


class Transition(nn.Module):
    """A 1x1 convolution to fewer channels and an average pooling, between two blocks."""

    features: int
    """Channels after it."""
    conv: Convolution
    """Constructor of the convolution."""
    axis_name: str | None
    """Axis of the devices over which batch normalisation averages in training."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, height, width, in]` to `[batch, height/2, width/2, features]`."""
        x = nn.relu(batch_norm("norm", train, self.axis_name)(x))
        x = unbiased(self.conv, x, self.features, 1, "conv")
        return AveragePool(2, strides=2, name="pool")(x)


class DenseNet(ImageNetwork):
    """Dense blocks with transitions between them, for images 224x224x3, or of any size.

    Source: Huang, Liu, van der Maaten, Weinberger, Densely connected convolutional networks, 2017,
    table 1.
    """

    depths: Sequence[int] = (6, 12, 24, 16)
    """Layers of each block."""
    growth: int = 32
    """Channels that each layer adds."""
    initial_features: int = 64
    """Channels of the first convolution."""
    bottleneck: bool = True
    """Whether layers begin with a 1x1 convolution (the B of DenseNet-BC)."""
    compression: float = 0.5
    """Share of the channels that a transition keeps (the C of DenseNet-BC, where it is below 1)."""
    cifar: bool = False
    """Whether it begins with a 3x3 convolution alone, for images 32x32, instead of 7x7 with stride
    2 and a pooling."""
    axis_name: str | None = "batch"
    """Axis of the devices over which batch normalisation averages in training; None: not at all."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, 3]` to logits `[batch, classes]`."""
        if self.cifar:
            x = unbiased(self.conv, x, self.initial_features, 3, "conv0")
        else:
            x = unbiased(self.conv, x, self.initial_features, 7, "conv0", stride=2)
            x = nn.relu(batch_norm("norm0", train, self.axis_name)(x))
            x = MaxPool(3, strides=2, padding=1, name="pool0")(x)
        for block, depth in enumerate(self.depths, start=1):
            for number in range(1, depth + 1):
                name = f"denseblock{block}_denselayer{number}"
                shared = self.growth, self.bottleneck, self.conv, self.axis_name
                x = DenseLayer(*shared, name=name)(x, train)
            if block < len(self.depths):
                kept = int(x.shape[-1] * self.compression)
                name = f"transition{block}"
                x = Transition(kept, self.conv, self.axis_name, name=name)(x, train)
        last = f"norm{len(self.depths) + 1}"
        x = nn.relu(batch_norm(last, train, self.axis_name)(x))
        x = GlobalAveragePool(name="pool")(x)
        return nn.Dense(self.classes, name="classifier")(x)


class DenseNet121(DenseNet):
    """121 layers, growth 32. Parameters: 7,978,856."""


class DenseNet169(DenseNet):
    """169 layers, growth 32. Parameters: 14,149,480."""

    depths: Sequence[int] = (6, 12, 32, 32)


class DenseNet201(DenseNet):
    """201 layers, growth 32. Parameters: 20,013,928."""

    depths: Sequence[int] = (6, 12, 48, 32)


class DenseNetBC100(DenseNet):
    """DenseNet-BC of 100 layers, growth 12, for CIFAR-10, 32x32x3. Parameters: 769,162 (table 2 of
    the paper: 0.8 M)."""

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    classes: int = 10
    depths: Sequence[int] = (16, 16, 16)
    growth: int = 12
    initial_features: int = 24
    cifar: bool = True


class DenseNet40(DenseNet):
    """DenseNet of 40 layers, growth 12, no bottleneck, no compression, for CIFAR-10, 32x32x3.

    Parameters: 1,019,722 (table 2 of the paper: 1.0 M).
    """

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    classes: int = 10
    depths: Sequence[int] = (12, 12, 12)
    growth: int = 12
    initial_features: int = 16
    bottleneck: bool = False
    compression: float = 1.0
    cifar: bool = True
