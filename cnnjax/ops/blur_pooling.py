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
    x: jax.Array,
    *,
    filter_size: int = 3,
    strides: Sizes = 2,
    padding: geometry.Padding = "REFLECT",
) -> jax.Array:
    """Blur every channel with a binomial filter, then keep every `strides`-th position.

        z[p, c] = sum over a of x[p strides + a - low, c] product over axes i of filter[a_i]

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

    Returns:
      `[*leading, *out_space, channels]`, of x's type.

    Raises:
      ValueError: a filter or stride that does not fit.
    """
    axes = spatial_axes("blur_pool", x, strides)
    x = as_floating(x)
    taps = jnp.asarray(binomial_filter(filter_size), x.dtype)
    channels = x.shape[-1]
    # The filter is a product, so one axis is blurred at a time: fewer multiplications.
    for axis, stride in enumerate(per_axis("strides", strides, axes)):
        shape = [1] * axes
        shape[axis] = filter_size
        window_strides = [1] * axes
        window_strides[axis] = stride
        kernel = jnp.tile(taps.reshape(*shape, 1, 1), channels)
        x = conv(
            x,
            kernel,
            strides=window_strides,
            padding=_on_axis(padding, axis, axes),
            feature_group_count=channels,
        )
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
      x: as for `blur_pool`.
      window_shape: size of the window of the maximum.
      filter_size, strides, padding: as for `blur_pool`; the padding is that of the maximum too.

    Returns:
      `[*leading, *out_space, channels]`.

    Raises:
      ValueError: as `blur_pool`.
    """
    axes = spatial_axes("max_blur_pool", x, strides)
    window_shape = per_axis("window_shape", window_shape, axes)
    x = max_pool(x, window_shape, padding=padding)
    strides = per_axis("strides", strides, axes)
    return blur_pool(x, filter_size=filter_size, strides=strides, padding=padding)


def spatial_axes(operator_name: str, x: jax.Array, strides: Sizes) -> int:
    """Number of spatial axes: as many as `strides` has, or all of x but the first and the last."""
    axes = len(strides) if isinstance(strides, tuple | list) else x.ndim - 2
    if not 1 <= axes <= 3 or x.ndim < axes + 1:
        raise ValueError(
            f"{operator_name} with strides {strides!r} needs x [*leading, *space, channels] with 1 "
            f"to 3 spatial axes, got shape {x.shape}."
        )
    return axes


def _on_axis(padding: geometry.Padding, axis: int, axes: int) -> geometry.Padding:
    """The padding of one axis; explicit numbers of the other axes wait for their turn."""
    each = padding_per_axis(padding, axes)
    if isinstance(padding, str):
        return padding
    return [each[other] if other == axis else 0 for other in range(axes)]
