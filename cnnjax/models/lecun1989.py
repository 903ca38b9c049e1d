"""The network that read handwritten zip codes in 1989: convolutions with strides, no pooling."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import Conv
from cnnjax.models.blocks import Convolution, flatten
from cnnjax.models.lenet import squash

BACKGROUND = -1.0
"""Value of all inputs beyond the border of a plane."""
CONNECTIONS = ((0, 8), (4, 12), (8, 16))
"""Maps of H1, counted round the twelve, that the first, second and last four maps of H2 take."""


class LeCun1989(nn.Module):
    """Two layers of 12 maps, 8x8 and 4x4, 30 hidden units and 10 outputs, for images 16x16x1.

    Kernels of 5x5 move by 2; every unit has a bias of its own; each map of H2 takes 8 of the 12
    maps of H1. Pixels are from -1 (background) to 1, and beyond the border is background.

    layer    units    connections    parameters
    H1         768         19,968         1,068
    H2         192         38,592         2,592
    H3          30          5,790         5,790
    output      10            310           310

    With the 256 inputs 1,256 units, 64,660 connections, 9,760 parameters.
    Which 8 maps is not published; here 0 to 7, 4 to 11, and 8 to 3. The outputs stand before the
    last squashing, as logits.
    Source: LeCun, Boser, Denker, Henderson, Howard, Hubbard, Jackel, Backpropagation applied to
    handwritten zip code recognition, 1989.
    """

    image_shape: ClassVar[tuple[int, ...]] = (16, 16, 1)
    """Shape of an image, as published."""
    classes: int = 10
    """Number of classes."""
    conv: Convolution = Conv
    """Constructor of the convolutions, called with `use_bias=False`; H2 is made of three."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images `[batch, 16, 16, 1]` to logits `[batch, classes]`."""
        x = squash(UnitBias(name="H1_bias")(self._convolution(x, 12, "H1")))
        groups = [
            self._convolution(x[..., jnp.arange(*maps) % 12], 4, f"H2_{number}")
            for number, maps in enumerate(CONNECTIONS)
        ]
        x = squash(UnitBias(name="H2_bias")(jnp.concatenate(groups, axis=-1)))
        x = squash(nn.Dense(30, name="H3")(flatten(x)))
        return nn.Dense(self.classes, name="output")(x)

    def _convolution(self, x: jax.Array, features: int, name: str) -> jax.Array:
        """A kernel of 5x5 that moves by 2 over the plane and two pixels of background around it."""
        layer = self.conv(
            features=features,
            kernel_size=(5, 5),
            strides=(2, 2),
            padding="VALID",
            use_bias=False,
            name=name,
        )
        border = ((0, 0), (2, 2), (2, 2), (0, 0))
        return layer(jnp.pad(x, border, constant_values=BACKGROUND))


class UnitBias(nn.Module):
    """A bias for every unit: positions do not share it."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Add a bias `[*space, channels]` to every entry of `[batch, *space, channels]`."""
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[1:])
        return x + bias[None].astype(x.dtype)

    def units_and_connections(self, x: jax.Array) -> tuple[int, int]:
        """What `inspect.layers_of` counts: no further units, the connection of each to its bias."""
        return 0, math.prod(x.shape[1:])
