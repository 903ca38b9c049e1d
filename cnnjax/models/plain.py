"""The plain network of textbooks: convolution, normalisation, ReLU, pooling, again and again."""

from collections.abc import Sequence
from typing import ClassVar

import jax
from flax import linen as nn

from cnnjax.layers import GlobalAveragePool, MaxPool
from cnnjax.models.blocks import Convolution, batch_norm, he_conv


class PlainNet(nn.Module):
    """Stages of convolution, batch normalisation, ReLU and 2x2 max pooling; then the mean over all
    positions and a linear classifier.

    For images of any size that the stages can halve.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.7.
    """

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    """Shape of an image, as published."""
    classes: int = 10
    """Number of classes."""
    conv: Convolution = he_conv
    """Constructor of the convolutions; with batch normalisation called with `use_bias=False`."""
    features: Sequence[int] = (32, 64, 128)
    """Channels of each stage."""
    kernel_size: int = 3
    """Height and width of every kernel."""
    padding: str = "SAME"
    """Padding of every convolution."""
    normalize: bool = True
    """Whether there is batch normalisation."""
    axis_name: str | None = "batch"
    """Axis of the devices over which batch normalisation averages in training; None: not at all."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`."""
        for number, features in enumerate(self.features, start=1):
            layer = self.conv(
                features=features,
                kernel_size=(self.kernel_size,) * 2,
                strides=(1, 1),
                padding=self.padding,
                name=f"conv{number}",
                **({"use_bias": False} if self.normalize else {}),
            )
            x = layer(x)
            if self.normalize:
                x = batch_norm(f"bn{number}", train, self.axis_name)(x)
            x = MaxPool(2, strides=2, name=f"pool{number}")(nn.relu(x))
        x = GlobalAveragePool(name="average")(x)
        return nn.Dense(self.classes, name="classifier")(x)
