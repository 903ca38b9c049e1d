"""Pooling as modules without parameters; they name the stages of a network."""

import jax
from flax import linen as nn

from cnnjax import ops
from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes
from cnnjax.ops.pool_window import WindowShape


class _Pool(nn.Module):
    """The arguments of every pooling."""

    window_shape: WindowShape
    """Size of the window: one int for all axes of space, or one an axis."""
    strides: Sizes = 1
    """Input positions from one window to the next."""
    padding: geometry.Padding = "VALID"
    """As for convolutions."""
    ceil_mode: bool = False
    """Keep a last window that is not full."""

    def pool_options(self) -> dict:
        """The keyword arguments of the operators."""
        return {"strides": self.strides, "padding": self.padding, "ceil_mode": self.ceil_mode}


class MaxPool(_Pool):
    """The largest entry of every window.

    Symmetry under circular padding: every shift by `strides`.
    """

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, channels]` to `[*leading, *out_space, channels]`."""
        return ops.max_pool(x, self.window_shape, **self.pool_options())


class AveragePool(_Pool):
    """The mean of every window.

    Symmetry under circular padding: every shift by `strides`.
    """

    count_include_pad: bool = False
    """Count the zeros of the padding."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, channels]` to `[*leading, *out_space, channels]`."""
        arguments = {**self.pool_options(), "count_include_pad": self.count_include_pad}
        return ops.average_pool(x, self.window_shape, **arguments)


class StochasticPool(_Pool):
    """An entry of every window, drawn in proportion to its size; in evaluation their expectation.

    Randomness: the stream 'dropout'.
    Source: Zeiler & Fergus, Stochastic pooling for regularization of deep convolutional neural
    networks, 2013.
    """

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map activations of at least 0, `[*leading, *space, channels]`, to `[..., channels]`."""
        key = self.make_rng("dropout") if train else None
        return ops.stochastic_pool(x, self.window_shape, key=key, **self.pool_options())


class GlobalAveragePool(nn.Module):
    """The mean over all space, which no rearrangement of positions changes."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[batch, *space, channels]` to `[batch, channels]`."""
        return ops.global_average_pool(x)


class CrossChannelMaxPool(nn.Module):
    """The largest of every `pieces` neighbouring channels: maxout, behind a layer with weights.

    Symmetry: none is built in; the pieces may learn a transformation's variants, one each.
    Source: Goodfellow et al., Maxout networks, 2013, section 3; Deep Learning, figure 9.9.
    """

    pieces: int
    """Channels that compete, a divisor of their number."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[..., channels]` to `[..., channels / pieces]`."""
        return ops.cross_channel_max_pool(x, self.pieces)
