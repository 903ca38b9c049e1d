"""LeNet-5: the network that read cheques."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax import ops
from cnnjax.layers import AveragePool, Conv
from cnnjax.models.blocks import Convolution, ImageNetwork, flatten, square

CONNECTIONS = (
    *(tuple(sorted((first + step) % 6 for step in range(3))) for first in range(6)),
    *(tuple(sorted((first + step) % 6 for step in range(4))) for first in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
"""Which maps of S2 each map of C3 takes (table I of the paper)."""


class LeNet5(ImageNetwork):
    """LeNet-5, for images 32x32x1; by default as published, up to the output.

    Parameters: C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164: 60,000; and 850 of a linear
    classifier where the paper has distances to drawn digits. Without the table and the trained
    subsampling, as it is often built: 61,706.
    Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition,
    1998, section II.B.
    """

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 1)
    classes: int = 10
    conv: Convolution = Conv
    """Constructor of the layers C1, C3 and C5."""
    connection_table: bool = True
    """Whether each map of C3 takes some maps of S2 only; it is then made of 16 layers."""
    trained_subsampling: bool = True
    """Whether the subsampling has a coefficient and a bias for each map, and a squashing."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images `[batch, 32, 32, 1]` to logits `[batch, classes]`."""
        x = squash(self._convolution(x, 6, "C1"))
        x = self._subsample(x, "S2")
        if self.connection_table:
            maps = [
                self._convolution(x[..., jnp.array(read)], 1, f"C3_{number}")
                for number, read in enumerate(CONNECTIONS)
            ]
            x = squash(jnp.concatenate(maps, axis=-1))
        else:
            x = squash(self._convolution(x, 16, "C3"))
        x = self._subsample(x, "S4")
        x = squash(self._convolution(x, 120, "C5"))
        x = squash(nn.Dense(84, name="F6")(flatten(x)))
        return nn.Dense(self.classes, name="output")(x)

    def _convolution(self, x: jax.Array, features: int, name: str) -> jax.Array:
        return square(self.conv, x, features, 5, name, padding="VALID")

    def _subsample(self, x: jax.Array, name: str) -> jax.Array:
        if self.trained_subsampling:
            return squash(Subsampling(name=name)(x))
        return AveragePool(2, strides=2, name=name)(x)


class Subsampling(nn.Module):
    """Sums of 2x2 pixels, times a coefficient, plus a bias: one of each a map.

    Source: LeCun, Bottou, Bengio, Haffner, 1998, section II.B.
    """

    window_shape: int = 2
    """Pixels along each axis."""
    strides: int = 2
    """Pixels from one sum to the next."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[batch, height, width, channels]` to half the height and width."""
        coefficient = self.param("coefficient", nn.initializers.constant(0.25), x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:])
        means = ops.average_pool(x, self.window_shape, strides=self.strides)
        sums = self.window_shape ** (x.ndim - 2) * means
        coefficient, bias = (
            jnp.expand_dims(each.astype(x.dtype), range(x.ndim - 1)) for each in (coefficient, bias)
        )
        return sums * coefficient + bias

    def units_and_connections(self, x: jax.Array) -> tuple[int, int]:
        """What `inspect.layers_of` counts: the sums, and each one's pixels and bias."""
        *space, channels = x.shape[1:]
        positions = [
            ops.output_size(size, self.window_shape, self.strides, "VALID") for size in space
        ]
        units = math.prod(positions) * channels
        return units, units * (self.window_shape ** len(space) + 1)


def squash(x: jax.Array) -> jax.Array:
    """The paper's sigmoid, 1.7159 tanh(2 x / 3): its value at 1 is 1 (appendix A)."""
    return 1.7159 * jnp.tanh(x * (2 / 3))
