"""Small networks that keep rotations by 90 degrees, may give them up, or do not know them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import jax
from flax import linen as nn

from cnnjax.layers.conv import Conv
from cnnjax.layers.group_conv import GroupConv, LiftingConv
from cnnjax.layers.relaxed import (
    RelaxedGroupConv,
    RelaxedLiftingConv,
    ResidualGroupConv,
    ResidualLiftingConv,
)
from cnnjax.models.rotation_net import halved

Layers = Literal["plain", "group", "relaxed", "residual"]
Readout = Literal["invariant", "free"]
LAYERS: dict[Layers, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "plain": (Conv, Conv),
    "group": (LiftingConv, GroupConv),
    "relaxed": (RelaxedLiftingConv, RelaxedGroupConv),
    "residual": (ResidualLiftingConv, ResidualGroupConv),
}
"""The first layer, from an image, and the others."""


class OrientationNet(nn.Module):
    """3 x 3 convolutions without padding, each with batch normalisation and ReLU, and a classifier.

    After the second layer, 2 x 2 max pooling; at the end the maximum over all positions and, if the
    readout is invariant, over the group. A free readout shows the classifier all elements of the
    group, which it may tell apart.
    Symmetry of the logits under rotations of the image by 90 degrees, its sides even: group layers
    with an invariant readout, exactly; relaxed and residual ones as long as their own symmetry
    holds. With a free readout the rotated image permutes what the classifier sees.
    """

    classes: int
    """Number of classes."""
    layers: Layers = "group"
    """plain (no group), group (p4), relaxed or residual (p4 at the start)."""
    readout: Readout = "invariant"
    """invariant, the maximum over the group; free, every element of it."""
    features: Sequence[int] = (8, 8, 16, 16)
    """Channels of each layer, of each element of the group."""
    banks: int = 1
    """Kernels that each relaxed layer mixes."""
    prior: float = 1e-3
    """Strength of the prior on the free kernels of residual layers."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, side, side, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: other layers, another readout, or images whose sides are not even and equal.
        """
        if self.layers not in LAYERS:
            raise ValueError(f"layers must be one of {', '.join(LAYERS)}, got {self.layers!r}.")
        if self.readout not in get_args(Readout):
            raise ValueError(f"readout must be invariant or free, got {self.readout!r}.")
        if x.shape[1] != x.shape[2] or x.shape[1] % 2:
            raise ValueError(f"OrientationNet needs square images of even sides, got {x.shape}.")
        first, deeper = LAYERS[self.layers]
        options = {"relaxed": {"banks": self.banks}, "residual": {"prior": self.prior}}
        own = options.get(self.layers, {})
        for number, features in enumerate(self.features, start=1):
            layer = first if number == 1 else deeper
            x = layer(features, 3, padding="VALID", name=f"conv{number}", **own)(x)
            x = nn.BatchNorm(use_running_average=not train, axis_name="batch" if train else None)(x)
            x = nn.relu(x)
            if number == 2:
                x = halved(x)
        self.sow("intermediates", "maps", x)
        x = x.max(axis=(1, 2))
        if self.layers != "plain" and self.readout == "invariant":
            x = x.max(axis=1)
        return nn.Dense(self.classes, name="classifier")(x.reshape(len(x), -1))

    @nn.nowrap
    def maps(self, variables: Mapping[str, Any], x: jax.Array) -> jax.Array:
        """Output of the last layer, `[batch, height, width, channels]`, of group layers
        `[batch, height, width, group, channels]`."""
        (maps,) = self.apply(variables, x, mutable="intermediates")[1]["intermediates"]["maps"]
        return maps
