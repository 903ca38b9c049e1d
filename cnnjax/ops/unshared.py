"""Unshared convolution: locally connected, every output position with a kernel of its own.

    z[p, o] = sum over a, c of x[p strides + a kernel_dilation - low, c] kernel[p, a, c, o]

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.9.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

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

ENTRIES_AT_A_TIME = 2**26
"""So many entries that windows read are written out at a time, 256 MB in float32; a larger batch is
computed in parts, which on CPU may take twice as long."""

FEW_CHANNELS = 16
"""From here on a position's channels fill a line of cache, and are read by themselves."""


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
    kept, and for a part of a large batch at a time. It costs the multiply-adds of `conv`. Returns
    `[*leading, *out_space, out]`.
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
    """Convolve `[batch, *space, in]`, zero padding only, by one matrix product a position.

    What the windows read is as large as x times the window: it is made again in the backward pass,
    not kept, and for as many images at a time as `ENTRIES_AT_A_TIME` allows, so that memory stops
    growing with the batch.
    """
    products = functools.partial(_products, window=window, precision=precision)
    products = jax.checkpoint(products)
    batch, entries = len(x), math.prod(window.out_space + window.kernel_size) * x.shape[-1]
    blocks = -(-batch * entries // ENTRIES_AT_A_TIME)
    if min(batch, blocks) <= 1:
        return products(x, kernel)
    images = -(-batch // blocks)
    blocks = -(-batch // images)
    x = jnp.pad(x, [(0, blocks * images - batch)] + [(0, 0)] * (x.ndim - 1))
    x = x.reshape(blocks, images, *x.shape[1:])
    z = lax.map(lambda block: products(block, kernel), x)
    return z.reshape(blocks * images, *z.shape[2:])[:batch]


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _products(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    """Multiply what each window reads, `[positions * groups, batch, entries]`, by its kernel."""
    batch, channels = len(x), x.shape[-1]
    taps, groups = math.prod(window.kernel_size), window.feature_group_count
    # Positions first: then each position's product reads one contiguous block.
    x = zero_pad(jnp.moveaxis(x, 0, -2), window.padding, window.input_dilation, first=0)
    read = _read(x, window, -1).reshape(
        math.prod(window.out_space), batch, taps, groups, channels // groups
    )
    read = jnp.moveaxis(read, 3, 1)
    read = read.reshape(len(read) * groups, batch, taps * (channels // groups))
    return _by_image(jnp.matmul(read, _matrices(kernel, window), precision=precision), window)


@functools.partial(_products.defjvp, symbolic_zeros=True)
def _products_jvp(
    window: Window, precision: lax.PrecisionLike, primals: tuple, tangents: tuple
) -> tuple:
    """The product rule, with products whose transposes are fast."""
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = []
    if not isinstance(dx, SymbolicZero):
        terms.append(_products_batch_last(dx, kernel, window, precision))
    if not isinstance(dkernel, SymbolicZero):
        terms.append(_products_batch_last(x, dkernel, window, precision))
    return _products(x, kernel, window, precision), functools.reduce(jnp.add, terms)


def _products_batch_last(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    """`_products` of what each window reads as `[positions * groups, entries, batch]`.

    On CPU twice as slow, but its two transposes take 0.6 of the time: neither has to rearrange an
    array as large as the kernel, nor do they contract the first of its two axes.
    """
    batch, channels = len(x), x.shape[-1]
    taps, groups = math.prod(window.kernel_size), window.feature_group_count
    x = zero_pad(jnp.moveaxis(x, 0, -1), window.padding, window.input_dilation, first=0)
    read = _read(x, window, -2).reshape(
        math.prod(window.out_space), taps, groups, channels // groups, batch
    )
    read = jnp.moveaxis(read, 2, 1)
    read = read.reshape(len(read) * groups, taps * (channels // groups), batch)
    entries_with_rows = (((1,), (1,)), ((0,), (0,)))
    z = lax.dot_general(read, _matrices(kernel, window), entries_with_rows, precision=precision)
    return _by_image(z, window)


def _read(x: jax.Array, window: Window, entries: int) -> jax.Array:
    """What every window reads of a padded x `[*space, ...]`, on the axis `entries` of channels,
    offsets before channels, whether on an axis of their own or not.

    A copy for each offset of the window. Of few channels those are many short ones, and one axis of
    space at a time is faster: k + k copies, of longer pieces, for a window of k by k.
    """
    if x.shape[entries] >= FEW_CHANNELS:
        # Stacked: joined on an axis that is there, each copy would rearrange x again, on CPU.
        return jnp.stack(list(window_slices(x, window, first=0)), entries - 1)
    for axis in reversed(range(len(window.kernel_size))):
        step, stride = window.kernel_dilation[axis], window.strides[axis]
        reach = (window.out_space[axis] - 1) * stride + 1
        starts = range(0, window.kernel_size[axis] * step, step)
        each = [lax.slice_in_dim(x, start, start + reach, stride, axis) for start in starts]
        x = jnp.concatenate(each, entries)
    return x


def _matrices(kernel: jax.Array, window: Window) -> jax.Array:
    """The kernels as `[positions * groups, entries that a window reads, features of a group]`."""
    positions, groups = math.prod(window.out_space), window.feature_group_count
    entries = math.prod(kernel.shape[len(window.out_space) : -1])
    features = kernel.shape[-1] // groups
    apart = jnp.moveaxis(kernel.reshape(positions, entries, groups, features), 2, 1)
    return apart.reshape(positions * groups, entries, features)


def _by_image(z: jax.Array, window: Window) -> jax.Array:
    """Products `[positions * groups, batch, features of a group]` as `[batch, *out_space, out]`."""
    batch, features = z.shape[1:]
    groups = window.feature_group_count
    z = z.reshape(math.prod(window.out_space), groups, batch, features).transpose(2, 0, 1, 3)
    return z.reshape(batch, *window.out_space, groups * features)


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
