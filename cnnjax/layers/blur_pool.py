"""Pooling that blurs before it strides."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from cnnjax.layers.conv import Sizes
from cnnjax.ops import geometry
from cnnjax.ops.blur_pooling import blur_pool, max_blur_pool
from cnnjax.ops.window import per_axis


class BlurPool(nn.Module):
    """Blur every channel with a binomial filter, then keep every `strides`-th position.

    Symmetry under circular padding: shifts by `strides` exactly, others approximately.
    Source: Zhang, Making convolutional networks shift-invariant again, 2019, section 3.2.
    """

    filter_size: int = 3
    """Size of the filter on every axis, 2 to 7."""
    strides: Sizes = 2
    """Input positions from one output position to the next."""
    padding: geometry.Padding = "REFLECT"
    """What lies beyond the border: 'REFLECT', 'CIRCULAR', 'SAME' (zeros)."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, channels]` to `[*leading, *out_space, channels]`."""
        return blur_pool(
            x, filter_size=self.filter_size, strides=self.strides, padding=self.padding
        )

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Every shift by `strides`, under circular padding."""
        if self.padding != "CIRCULAR":
            return tuple(space)
        strides = per_axis("strides", self.strides, len(space))
        return tuple(map(geometry.predicted_step, space, strides))


class MaxBlurPool(BlurPool):
    """The largest of every window at stride 1, then `BlurPool`: in place of max pooling.

    Symmetry under circular padding: shifts by `strides` exactly, others approximately.
    Source: Zhang, Making convolutional networks shift-invariant again, 2019, eq. 4.
    """

    window_shape: Sizes = 2
    """Window of the maximum."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, channels]` to `[*leading, *out_space, channels]`."""
        return max_blur_pool(
            x,
            window_shape=self.window_shape,
            filter_size=self.filter_size,
            strides=self.strides,
            padding=self.padding,
        )
