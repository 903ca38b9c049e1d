"""The all convolutional net, and the networks it was compared with."""

from typing import ClassVar, Literal, get_args

import jax
from flax import linen as nn

from cnnjax.layers import GlobalAveragePool, MaxPool
from cnnjax.models.blocks import ImageNetwork, square

Variant = Literal["base", "strided", "conv_pool", "all_cnn"]

WINDOWS = {"A": (5,), "B": (5, 1), "C": (3, 3)}
"""Windows of the convolutions below each downsampling, by base model (table 1)."""


class AllCNN(ImageNetwork):
    """Nine layers of convolution, one of which is where others pool; for CIFAR-10, 32x32x3.

    Base models A, B and C, and what takes the place of each of their two poolings, of 3x3 with
    stride 2 (tables 1 and 2 of the paper, in which the derived models of C are written out):

        base       pooling
        strided    no pooling: the convolution below it has the stride
        conv_pool  one more 3x3 convolution, then pooling
        all_cnn    a 3x3 convolution with stride 2

    Parameters with 10 classes: A 839,242 (all_cnn and conv_pool 1,254,250), B 885,610 (1,300,618),
    C 954,730 (1,369,738).
    Source: Springenberg, Dosovitskiy, Brox, Riedmiller, Striving for simplicity: the all
    convolutional net, 2015.
    """

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    classes: int = 10
    base: Literal["A", "B", "C"] = "C"
    """Base model."""
    variant: Variant = "all_cnn"
    """What stands in the place of each pooling."""
    dropout_rates: tuple[float, float] = (0.2, 0.5)
    """Dropout rate of the image, and after each pooling or what stands in its place."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, 3]` to logits `[batch, classes]`."""
        if self.base not in WINDOWS or self.variant not in get_args(Variant):
            raise ValueError(
                f"AllCNN has base 'A', 'B' or 'C' and variant 'base', 'strided', 'conv_pool' or "
                f"'all_cnn', got {self.base!r} and {self.variant!r}."
            )
        x = nn.Dropout(self.dropout_rates[0], deterministic=not train)(x)
        for stage, features in ((1, 96), (2, 192)):
            x = self._stage(x, features, stage)
            x = nn.Dropout(self.dropout_rates[1], deterministic=not train)(x)
        # This window is not padded: 8x8 becomes the 6x6 that is averaged.
        x = self._convolution(x, 192, 3, "conv3", padding="VALID")
        x = self._convolution(x, 192, 1, "conv4")
        x = self._convolution(x, self.classes, 1, "conv5")
        return GlobalAveragePool(name="average")(x)

    def _stage(self, x: jax.Array, features: int, stage: int) -> jax.Array:
        windows = WINDOWS[self.base]
        for number, size in enumerate(windows, start=1):
            stride = 2 if self.variant == "strided" and number == len(windows) else 1
            x = self._convolution(x, features, size, f"conv{stage}_{number}", stride)
        if self.variant == "all_cnn":
            return self._convolution(x, features, 3, f"pool{stage}", stride=2)
        if self.variant == "conv_pool":
            x = self._convolution(x, features, 3, f"conv{stage}_{len(windows) + 1}")
        if self.variant in ("base", "conv_pool"):
            x = MaxPool(3, strides=2, padding="SAME", name=f"pool{stage}")(x)
        return x

    def _convolution(
        self, x: jax.Array, features: int, size: int, name: str, stride: int = 1, padding="SAME"
    ) -> jax.Array:
        return nn.relu(square(self.conv, x, features, size, name, stride, padding=padding))
