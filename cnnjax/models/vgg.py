"""VGG: nothing but 3x3 convolutions, many of them."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from cnnjax.layers import MaxPool
from cnnjax.models.blocks import ImageNetwork, flatten, square


class VGG(ImageNetwork):
    """Five stages of 3x3 convolutions, each ended by pooling, and three fully connected layers.

    For images 224x224x3, or of any size that is a multiple of 32.
    Source: Simonyan & Zisserman, Very deep convolutional networks for large-scale image
    recognition, 2015, table 1.
    """

    depths: Sequence[int] = (2, 2, 3, 3, 3)
    """Convolutions of each stage."""
    features: Sequence[int] = (64, 128, 256, 512, 512)
    """Channels of each stage."""
    hidden: int = 4096
    """Units of the two hidden fully connected layers."""
    dropout_rate: float = 0.5
    """Dropout rate of the output of the hidden fully connected layers."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, 3]` to logits `[batch, classes]`."""
        for stage, (depth, features) in enumerate(zip(self.depths, self.features, strict=True), 1):
            for number in range(1, depth + 1):
                name = f"conv{stage}_{number}"
                x = nn.relu(square(self.conv, x, features, 3, name, padding=1))
            x = MaxPool(2, strides=2, name=f"pool{stage}")(x)
        x = flatten(x)
        for number in (6, 7):
            x = nn.relu(nn.Dense(self.hidden, name=f"fc{number}")(x))
            x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return nn.Dense(self.classes, name="fc8")(x)


class VGG11(VGG):
    """Configuration A: 8 convolutions. Parameters: 132,863,336."""

    depths: Sequence[int] = (1, 1, 2, 2, 2)


class VGG13(VGG):
    """Configuration B: 10 convolutions. Parameters: 133,047,848."""

    depths: Sequence[int] = (2, 2, 2, 2, 2)


class VGG16(VGG):
    """Configuration D: 13 convolutions. Parameters: 138,357,544."""

    depths: Sequence[int] = (2, 2, 3, 3, 3)


class VGG19(VGG):
    """Configuration E: 16 convolutions. Parameters: 143,667,240."""

    depths: Sequence[int] = (2, 2, 4, 4, 4)
