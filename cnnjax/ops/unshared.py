"""Unshared convolution: locally connected, every output position with a kernel of its own.

    z[p, o] = sum over a, c of x[p strides + a kernel_dilation - low, c] kernel[p, a, c, o]

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.9.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, promote
from cnnjax.ops.window import (
    Window,
    flatten_leading,
    open_window,
    window_slices,
    with_border,
    zero_pad,
)


def local_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    input_dilation: Sizes = 1,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Connect locally: output position p has a kernel of its own (unshared convolution).

    One matrix product a position; what the windows read is made again in the backward pass, not
    kept. It costs the multiply-adds of `conv`. Returns `[*leading, *out_space, out]`.
    Symmetry: none; it commutes with the zero shift only.

    Args:
      x: `[*leading, *space, in]`.
      kernel: `[*out_space, *window, in/groups, out]`.
      strides, padding, kernel_dilation, input_dilation, feature_group_count, precision: as for
        `conv`.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    axes = banked_axes(kernel, "local_conv", "[*out_space, *window, in/groups, out]")
    options = strides, padding, kernel_dilation, input_dilation, feature_group_count
    window = open_window("local_conv", x, kernel, axes, *options)
    check_positions("local_conv: kernel", kernel.shape, kernel.shape[:axes], window)
    x, kernel = promote(x, kernel)
    x, leading = flatten_leading(x, axes)
    x, window = with_border(x, window)
    z = unshared(x, kernel, window, precision)
    return z.reshape(*leading, *z.shape[1:])


def unshared(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    """One product a position, over `[batch, *space, in]`, zero padding only."""
    # Positions first: then each position's product reads one contiguous block.
    x = zero_pad(jnp.moveaxis(x, 0, -2), window.padding, window.input_dilation, first=0)
    products = functools.partial(_local_products, window=window, precision=precision)
    return jnp.moveaxis(jax.checkpoint(products)(x, kernel), -2, 0)


def _local_products(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    """Multiply what each window reads of `[*space, batch, in]` by its kernel."""
    axes, groups = len(window.kernel_size), window.feature_group_count
    patches = jnp.stack(list(window_slices(x, window, first=0)), axis=axes + 1)
    batch, taps, channels = patches.shape[axes:]
    features = kernel.shape[-1] // groups
    matrices = kernel.reshape(*window.out_space, taps * (channels // groups), groups, features)
    patches = patches.reshape(*window.out_space, batch, taps, groups, channels // groups)
    if groups == 1:
        patches = patches.reshape(*window.out_space, batch, taps * channels)
        matrices = matrices[..., 0, :]
    else:
        patches = jnp.moveaxis(patches, -2, axes)
        patches = patches.reshape(*patches.shape[:-2], taps * (channels // groups))
        matrices = jnp.moveaxis(matrices, -2, axes)
    z = jnp.matmul(patches, matrices, precision=precision)
    if groups > 1:
        z = jnp.moveaxis(z, axes, -2).reshape(*window.out_space, batch, groups * features)
    return z


def banked_axes(kernel: jax.Array, operator_name: str, layout: str) -> int:
    if kernel.ndim % 2 or not 4 <= kernel.ndim <= 8:
        raise ValueError(
            f"{operator_name}: kernel must be {layout} of rank 4, 6 or 8 for 1, 2 or 3 spatial "
            f"axes, got shape {kernel.shape}."
        )
    return kernel.ndim // 2 - 1


def check_positions(
    what: str, shape: tuple[int, ...], positions: tuple[int, ...], window: Window
) -> None:
    if positions != window.out_space:
        raise ValueError(
            f"{what} of shape {shape} is for {math.prod(positions)} output positions {positions}, "
            f"but the output has {window.out_space}."
        )
