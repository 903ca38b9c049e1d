"""AlexNet: the network that won ImageNet in 2012."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import LocalResponseNorm, MaxPool
from cnnjax.models.blocks import ImageNetwork, flatten


class AlexNet(ImageNetwork):
    """AlexNet in two towers, for images 224x224x3 (or 227x227x3).

    Layers 2, 4 and 5 read the channels of their own tower only. Two pixels of zeros around the
    image make 55x55 outputs of 224. Parameters: 60,965,224.
    Source: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural
    networks, 2012, section 3.
    """

    features: Sequence[int] = (96, 256, 384, 384, 256)
    """Channels of each convolution."""
    towers: int = 2
    """Groups of channels that layers 2, 4 and 5 keep apart, each a layer of its own."""
    normalization: bool = True
    """Whether local response normalisation follows layers 1 and 2."""
    dropout_rate: float = 0.5
    """Share that is dropped, in training, at the hidden fully connected layers."""
    dropout_of: Literal["inputs", "outputs"] = "outputs"
    """What of those layers is dropped."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, 224, 224, 3]` to logits `[batch, classes]`."""
        kernel_sizes, strides, paddings = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)
        each = zip(self.features, kernel_sizes, strides, paddings, strict=True)
        for number, (features, size, stride, padding) in enumerate(each, start=1):
            towers = self.towers if number in (2, 4, 5) else 1
            arguments = {
                "features": features // towers,
                "kernel_size": (size, size),
                "strides": (stride, stride),
                "padding": padding,
            }
            if towers == 1:
                x = self.conv(**arguments, name=f"conv{number}")(x)
            else:
                parts = [
                    self.conv(**arguments, name=f"conv{number}_tower{tower}")(part)
                    for tower, part in enumerate(jnp.split(x, towers, axis=-1), start=1)
                ]
                x = jnp.concatenate(parts, axis=-1)
            x = nn.relu(x)
            if self.normalization and number in (1, 2):
                x = LocalResponseNorm(name=f"norm{number}")(x)
            if number in (1, 2, 5):
                x = MaxPool(3, strides=2, name=f"pool{number}")(x)
        x = flatten(x)
        for number in (6, 7):
            if self.dropout_of == "inputs":
                x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
            x = nn.relu(nn.Dense(4096, name=f"fc{number}")(x))
            if self.dropout_of == "outputs":
                x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return nn.Dense(self.classes, name="fc8")(x)


class AlexNetOneTower(AlexNet):
    """AlexNet in one tower of fewer channels, without normalisation; the one that torchvision has.

    Parameters: 61,100,840.
    Source: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014.
    """

    features: Sequence[int] = (64, 192, 384, 256, 256)
    towers: int = 1
    normalization: bool = False
    dropout_of: Literal["inputs", "outputs"] = "inputs"
