"""Downsampling after a blur, so that less of what the stride cannot carry is folded back."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, conv
from cnnjax.ops.pool import max_pool
from cnnjax.ops.window import as_floating, padding_per_axis, per_axis


def binomial_filter(size: int) -> np.ndarray:
    """A row of Pascal's triangle, scaled to sum 1: `[size]`, size 2 to 7.

    [1, 1] / 2, [1, 2, 1] / 4, [1, 3, 3, 1] / 8, [1, 4, 6, 4, 1] / 16, ...
    Source: Zhang, Making convolutional networks shift-invariant again, 2019, section 4.1.

    Raises:
      ValueError: another size.
    """
    if isinstance(size, bool) or size not in range(2, 8):
        raise ValueError(f"`filter_size` must be 2 to 7, got {size!r}.")
    return np.array([math.comb(size - 1, tap) for tap in range(size)]) / 2.0 ** (size - 1)


def blur_pool(
    x: jax.Array, *, filter_size: int = 3, strides: Sizes = 2, padding: geometry.Padding = "REFLECT"
) -> jax.Array:
    """Blur every channel with a binomial filter, then keep every `strides`-th position.

        z[p, c] = sum over a of x[p strides + a - low, c] product over axes i of filter[a_i]

    Returns `[*leading, *out_space, channels]`, of x's type.
    Symmetry under circular padding: every shift by `strides` exactly; other shifts better, the
    wider the filter, but never exactly.
    Source: Zhang, Making convolutional networks shift-invariant again, 2019, section 3.2.

    Args:
      x: `[*leading, *space, channels]`; all axes but the first and last are spatial, unless
        `strides` has one int a spatial axis.
      filter_size: size of the filter, 2 to 7, on every axis.
      strides: input positions from one output position to the next.
      padding: what lies beyond the border: 'REFLECT' as in the source, 'CIRCULAR', 'SAME' (zeros),
        or another one of `conv`.

    Raises:
      ValueError: a filter or stride that does not fit.
    """
    steps = per_spatial_axis("blur_pool", x, strides)
    x, channels = as_floating(x), x.shape[-1]
    taps = jnp.asarray(binomial_filter(filter_size), x.dtype)
    sides = padding_per_axis(padding, len(steps))
    # The filter is a product, so one axis is blurred at a time: fewer multiplications.
    for axis, (step, side) in enumerate(zip(steps, sides, strict=True)):
        before, after = (1,) * axis, (1,) * (len(steps) - axis - 1)
        kernel = jnp.tile(taps.reshape(*before, -1, *after, 1, 1), channels)
        # Explicit numbers of the other axes wait for their turn.
        alone = [side if other == axis else 0 for other in range(len(steps))]
        border = padding if isinstance(padding, str) else alone
        strides = (*before, step, *after)
        x = conv(x, kernel, strides=strides, padding=border, feature_group_count=channels)
    return x


def max_blur_pool(
    x: jax.Array,
    *,
    window_shape: Sizes = 2,
    filter_size: int = 3,
    strides: Sizes = 2,
    padding: geometry.Padding = "REFLECT",
) -> jax.Array:
    """The largest of every window at stride 1, then `blur_pool`: max pooling without its aliasing.

    Symmetry under circular padding: as `blur_pool`.
    Source: Zhang, Making convolutional networks shift-invariant again, 2019, eq. 4.

    Args:
      window_shape: size of the window of the maximum.
      x, filter_size, strides, padding: as for `blur_pool`; the padding is that of the maximum too.

    Raises:
      ValueError: as `blur_pool`.
    """
    steps = per_spatial_axis("max_blur_pool", x, strides)
    x = max_pool(x, per_axis("window_shape", window_shape, len(steps)), padding=padding)
    return blur_pool(x, filter_size=filter_size, strides=steps, padding=padding)


def per_spatial_axis(
    operator_name: str, x: jax.Array, sizes: Sizes, name: str = "strides"
) -> tuple[int, ...]:
    """One of `sizes` for every spatial axis: these are as many as there are sizes, or all axes of x
    but the first and the last."""
    axes = len(sizes) if isinstance(sizes, tuple | list) else x.ndim - 2
    if not 1 <= axes <= 3 or x.ndim < axes + 1:
        raise ValueError(
            f"{operator_name} with {name} {sizes!r} needs x [*leading, *space, channels] with 1 to "
            f"3 spatial axes, got shape {x.shape}."
        )
    return per_axis(name, sizes, axes)
