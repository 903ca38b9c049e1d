"""The networks of Cohen and Welling's study of rotated MNIST."""

from typing import Literal, get_args

import jax
from flax import linen as nn

from cnnjax.layers.conv import Conv
from cnnjax.layers.group_conv import GroupConv, GroupPool, LiftingConv
from cnnjax.layers.pool import MaxPool

Group = Literal["none", "p4", "p4_pooled"]

FEATURES = {"none": 20, "p4": 10, "p4_pooled": 20}
"""Channels of each layer: with these all three have nearly the same number of weights."""


class RotationNet(nn.Module):
    """Six 3 x 3 convolutions and one 4 x 4, each with batch normalisation, ReLU and dropout.

    Without a group (Z2CNN), with group convolutions throughout (P4CNN), or with a lifting
    convolution and a maximum over the group in every layer (P4CNN with rotation pooling). As in the
    authors' code the convolutions have a bias, which batch normalisation then takes away.
    Symmetry of the logits with a group: rotations of a 28 x 28 image by 90 degrees, exactly.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, section 8.1.
    """

    classes: int = 10
    """Number of classes."""
    group: Group = "p4"
    """none, p4, or p4_pooled: a maximum over the group after every layer."""
    features: int | None = None
    """Channels of each layer; None: see `FEATURES`."""
    dropout_rate: float = 0.3
    """Share of the activations that is dropped in training."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, 28, 28, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: another group, or another size.
        """
        if self.group not in get_args(Group):
            raise ValueError(
                f"group must be one of {', '.join(get_args(Group))}, got {self.group!r}."
            )
        if x.shape[1:3] != (28, 28):
            raise ValueError(f"RotationNet needs images of 28 x 28 pixels, got shape {x.shape}.")
        features = self.features or FEATURES[self.group]
        for number in range(1, 7):
            x = self._convolved(x, features, 3, number)
            x = nn.BatchNorm(use_running_average=not train, axis_name="batch" if train else None)(x)
            x = nn.Dropout(self.dropout_rate, deterministic=not train)(nn.relu(x))
            if number == 2:
                x = halved(x)
        x = self._convolved(x, self.classes, 4, 7)
        return x.max(axis=range(1, x.ndim - 1))

    def _convolved(self, x: jax.Array, features: int, window: int, number: int) -> jax.Array:
        deeper = {"none": Conv, "p4": GroupConv, "p4_pooled": LiftingConv}[self.group]
        layer = LiftingConv if self.group == "p4" and number == 1 else deeper
        x = layer(features, window, padding="VALID", name=f"conv{number}")(x)
        return GroupPool()(x) if self.group == "p4_pooled" else x


def halved(x: jax.Array) -> jax.Array:
    """The largest of 2 x 2 positions, of each channel and, of regular features, each element."""
    flat = x.reshape(*x.shape[:3], -1)
    z = MaxPool(2, 2)(flat)
    return z.reshape(*z.shape[:3], *x.shape[3:])
