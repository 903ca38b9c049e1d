"""Residual networks, for ImageNet and for CIFAR."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import GlobalAveragePool, MaxPool
from cnnjax.models.blocks import Convolution, ImageNetwork, batch_norm, unbiased


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 (a bottleneck), and their input added to the result.

    Where the shape changes the input is projected by a 1x1 convolution, or with `project=False`
    (option A) subsampled and padded with zero channels.
    Source: He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2016, figure 5.
    """

    features: int
    """Channels of the 3x3 convolutions; a bottleneck gives four times as many."""
    stride: int
    """Stride of the first 3x3 convolution, as torchvision has it, and of the shortcut."""
    bottleneck: bool
    """Whether there are three convolutions."""
    project: bool
    """Whether a shortcut that changes shape has weights."""
    conv: Convolution
    """Constructor of the convolutions."""
    axis_name: str | None
    """Axis of the devices over which batch normalisation averages in training."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, height, width, in]` to `[batch, height/stride, width/stride, out]`."""
        if self.bottleneck:
            windows = (1, self.features), (3, self.features), (1, 4 * self.features)
        else:
            windows = (3, self.features), (3, self.features)
        strided = 2 if self.bottleneck else 1
        z = x
        for number, (size, features) in enumerate(windows, start=1):
            stride = self.stride if number == strided else 1
            z = unbiased(self.conv, z, features, size, f"conv{number}", stride)
            z = batch_norm(f"bn{number}", train, self.axis_name)(z)
            if number < len(windows):
                z = nn.relu(z)
        if x.shape != z.shape:
            x = self._shortcut(x, z.shape[-1], train)
        return nn.relu(x + z)

    def _shortcut(self, x: jax.Array, features: int, train: bool) -> jax.Array:
        if self.project:
            x = unbiased(self.conv, x, features, 1, "downsample_conv", self.stride)
            return batch_norm("downsample_bn", train, self.axis_name)(x)
        x = x[:, :: self.stride, :: self.stride]
        return jnp.pad(x, [(0, 0)] * 3 + [(0, features - x.shape[-1])])


class ResNet(ImageNetwork):
    """Residual network for images 224x224x3, or of any size.

    Source: He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2016, table 1. In a
    bottleneck the 3x3 convolution has the stride, as in torchvision and most successors.
    """

    depths: Sequence[int] = (2, 2, 2, 2)
    """Blocks of each stage; each but the first halves height and width."""
    features: Sequence[int] = (64, 128, 256, 512)
    """Channels of the 3x3 convolutions of each stage."""
    bottleneck: bool = False
    """Whether blocks have three convolutions."""
    cifar: bool = False
    """Whether it begins with a 3x3 convolution, for images 32x32, and shortcuts have no weights
    (option A), instead of 7x7 with stride 2, a pooling, and projections."""
    axis_name: str | None = "batch"
    """Axis of the devices over which batch normalisation averages in training; None: not at all."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, 3]` to logits `[batch, classes]`."""
        size, stride = (3, 1) if self.cifar else (7, 2)
        x = unbiased(self.conv, x, self.features[0], size, "conv1", stride)
        x = nn.relu(batch_norm("bn1", train, self.axis_name)(x))
        if not self.cifar:
            x = MaxPool(3, strides=2, padding=1, name="pool1")(x)
        for stage, (depth, features) in enumerate(zip(self.depths, self.features, strict=True), 1):
            for number in range(depth):
                block = ResidualBlock(
                    features=features,
                    stride=2 if stage > 1 and number == 0 else 1,
                    bottleneck=self.bottleneck,
                    project=not self.cifar,
                    conv=self.conv,
                    axis_name=self.axis_name,
                    name=f"layer{stage}_{number}",
                )
                x = block(x, train)
        x = GlobalAveragePool(name="pool5")(x)
        return nn.Dense(self.classes, name="fc")(x)


class ResNet18(ResNet):
    """18 layers. Parameters: 11,689,512."""


class ResNet34(ResNet):
    """34 layers. Parameters: 21,797,672."""

    depths: Sequence[int] = (3, 4, 6, 3)


class ResNet50(ResNet):
    """50 layers, in bottlenecks. Parameters: 25,557,032."""

    depths: Sequence[int] = (3, 4, 6, 3)
    bottleneck: bool = True


class ResNet101(ResNet):
    """101 layers, in bottlenecks. Parameters: 44,549,160."""

    depths: Sequence[int] = (3, 4, 23, 3)
    bottleneck: bool = True


class ResNet152(ResNet):
    """152 layers, in bottlenecks. Parameters: 60,192,808."""

    depths: Sequence[int] = (3, 8, 36, 3)
    bottleneck: bool = True


class ResNet20(ResNet):
    """20 layers for CIFAR-10, 32x32x3. Parameters: 269,722 (section 4.2 of the paper: 0.27 M)."""

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    classes: int = 10
    depths: Sequence[int] = (3, 3, 3)
    features: Sequence[int] = (16, 32, 64)
    cifar: bool = True


class ResNet44(ResNet20):
    """44 layers for CIFAR-10, 32x32x3. Parameters: 658,586 (section 4.2 of the paper: 0.66 M)."""

    depths: Sequence[int] = (7, 7, 7)
