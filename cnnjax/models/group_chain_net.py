"""A network of group convolutions, invariant to rotations by 90 degrees and, if wanted, flips."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import linen as nn

from cnnjax.layers.group_conv import GroupConv, LiftingConv
from cnnjax.ops.pool import max_pool


class GroupChainNet(nn.Module):
    """Group convolution, ReLU and halving of the image, several times; then the maximum over all
    positions and the group, and a classifier: what `ChainNet` is with ordinary convolutions.

    Symmetry of the logits under circular padding: rotations by 90 degrees (and reflections) of
    square images, exactly, where the kernel is odd; circular shifts by 2 ** (len(features) - 1),
    since the last maximum of 2 x 2 is part of that over all positions.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016.
    """

    classes: int
    """Number of classes."""
    features: Sequence[int] = (8, 16, 16)
    """Output channels of each layer, for each element of the group."""
    kernel_size: int = 3
    """Height and width of every kernel."""
    group: int = 4
    """Elements of the group: 4, rotations by 90 degrees (p4); 8, reflections, too (p4m)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: another group, or sizes that 2 ** len(features) does not divide.
        """
        step = 2 ** len(self.features)
        if any(size % step for size in x.shape[1:3]):
            raise ValueError(
                f"Height and width must be multiples of {step} for {len(self.features)} halvings, "
                f"got {x.shape[1:3]}."
            )
        for number, features in enumerate(self.features, start=1):
            options: dict[str, Any] = {"padding": "CIRCULAR", "name": f"conv{number}"}
            if number == 1:
                layer = LiftingConv(features, self.kernel_size, group=self.group, **options)
            else:
                layer = GroupConv(features, self.kernel_size, **options)
            x = nn.relu(layer(x))
            # Each element of the group and each channel is an image of its own.
            images = x.reshape(*x.shape[:3], -1)
            halved = max_pool(images, 2, strides=2, padding="VALID")
            x = halved.reshape(*halved.shape[:3], *x.shape[3:])
        return nn.Dense(self.classes, name="classifier")(x.max(axis=(1, 2, 3)))
