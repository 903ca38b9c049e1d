"""GoogLeNet: nine inception modules."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import AveragePool, GlobalAveragePool, LocalResponseNorm, MaxPool
from cnnjax.models.blocks import Convolution, flatten, he_conv

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


class Inception(nn.Module):
    """Windows of 1x1, 3x3 and 5x5 and a pooling, side by side, their channels put together.

    Source: Szegedy et al., Going deeper with convolutions, 2015, figure 2b.
    """

    features: tuple[int, ...]
    """1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, after pooling."""
    conv: Convolution
    """Constructor of the convolutions."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[batch, height, width, in]` to `[batch, height, width, out]`."""
        one, reduce_three, three, reduce_five, five, after_pooling = self.features
        pooled = MaxPool(3, strides=1, padding="SAME", name="pool")(x)
        branches = (
            convolution(self.conv, x, one, 1, "conv1x1"),
            convolution(
                self.conv, convolution(self.conv, x, reduce_three, 1, "reduce3x3"), three, 3,
                "conv3x3",
            ),
            convolution(
                self.conv, convolution(self.conv, x, reduce_five, 1, "reduce5x5"), five, 5,
                "conv5x5",
            ),
            convolution(self.conv, pooled, after_pooling, 1, "project"),
        )  # fmt: skip
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryHead(nn.Module):
    """A classifier half way up, which gives the lower layers a gradient of their own.

    Source: Szegedy et al., Going deeper with convolutions, 2015, section 5.
    """

    classes: int
    """Number of classes."""
    conv: Convolution
    """Constructor of the convolution."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, 14, 14, channels]` to logits `[batch, classes]`."""
        x = AveragePool(5, strides=3, name="pool")(x)
        x = flatten(convolution(self.conv, x, 128, 1, "conv"))
        x = nn.relu(nn.Dense(1024, name="fc")(x))
        x = nn.Dropout(0.7, deterministic=not train)(x)
        return nn.Dense(self.classes, name="classifier")(x)


class GoogLeNet(nn.Module):
    """GoogLeNet, for images 224x224x3, as published: 5x5 windows, biases, no batch normalisation.

    Parameters: 6,998,552, and 6,379,728 of the two auxiliary heads: 13,378,280 (as Caffe's model;
    torchvision's has batch normalisation and 3x3 windows in place of 5x5: 6,624,904).
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
        x = convolution(self.conv, x, 64, 7, "conv1", stride=2)
        x = MaxPool(3, strides=2, padding="SAME", name="pool1")(x)
        x = LocalResponseNorm(bias=1.0, alpha=2e-5, name="norm1")(x)
        x = convolution(self.conv, x, 64, 1, "reduce2")
        x = convolution(self.conv, x, 192, 3, "conv2")
        x = LocalResponseNorm(bias=1.0, alpha=2e-5, name="norm2")(x)
        x = MaxPool(3, strides=2, padding="SAME", name="pool2")(x)
        for name, features in INCEPTIONS.items():
            x = Inception(features, self.conv, name=f"inception_{name}")(x)
            if self.auxiliary and name in ("4a", "4d"):
                head = AuxiliaryHead(self.classes, self.conv, name=f"auxiliary_{name}")
                found[f"auxiliary_{name}"] = head(x, train)
            if name in ("3b", "4e"):
                x = MaxPool(3, strides=2, padding="SAME", name=f"pool{name[0]}")(x)
        x = GlobalAveragePool(name="pool5")(x)
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        found["network"] = nn.Dense(self.classes, name="classifier")(x)
        return found


def convolution(
    conv: Convolution, x: jax.Array, features: int, size: int, name: str, stride: int = 1
) -> jax.Array:
    """A square convolution and its ReLU."""
    layer = conv(
        features=features, kernel_size=(size, size), strides=(stride, stride), padding="SAME",
        name=name,
    )  # fmt: skip
    return nn.relu(layer(x))
