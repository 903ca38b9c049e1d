"""Convolution with one kernel for all positions: standard, strided, dilated, grouped, transposed.

What is called convolution here, as everywhere in this field, is cross-correlation: the kernel is
not flipped. `flip_kernel=True` gives the convolution of mathematics.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from cnnjax.ops import geometry
from cnnjax.ops.passes import (
    FEW_CHANNELS,
    Passes,
    convolve_in_passes,
    fastest_passes,
    lax_convolution,
)
from cnnjax.ops.window import (
    Window,
    check_channels,
    check_rank,
    flatten_leading,
    make_window,
    open_window,
    per_axis,
    window_slices,
    with_border,
    written_out,
    zero_pad,
)

Sizes = int | Sequence[int] | None


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    input_dilation: Sizes = 1,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
    flip_kernel: bool = False,
) -> jax.Array:
    """Convolve x with one kernel, shared by all positions.

        z[p, o] = sum over a, c of x[p strides + a kernel_dilation - low, c] kernel[a, c, o]

    Returns `[*leading, *out_space, out]`, of the type that x and kernel promote to.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.7 and 9.8 (0-based).
    Symmetry under circular padding: commutes with every shift by `strides` input positions.

    Args:
      x: `[*leading, *space, in]`, 1 to 3 spatial axes, as many as the kernel has.
      kernel: `[*window, in/groups, out]`.
      strides: input positions from one output position to the next.
      padding: 'SAME', 'VALID', 'FULL', 'CIRCULAR', 'REFLECT', zeros on every side, or one int or
        (low, high) pair an axis; see `geometry.padding_pair`.
      kernel_dilation: input positions from one kernel entry to the next.
      input_dilation: distance of the entries of x, after zeros were put between them.
      feature_group_count: groups of channels convolved apart; as many as channels: depthwise.
      precision: precision of the products, as in `jax.lax`.
      flip_kernel: reverse the kernel's spatial axes first.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    options = strides, padding, kernel_dilation, input_dilation, feature_group_count
    window = open_window("conv", x, kernel, 0, *options)
    axes = len(window.space)
    if flip_kernel:
        kernel = jnp.flip(kernel, range(axes))
    x, kernel = promote(x, kernel)
    x, leading = flatten_leading(x, axes)
    z = convolve(*with_border(x, window), kernel, precision)
    return z.reshape(*leading, *z.shape[1:])


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    transpose_kernel: bool = False,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Put `strides - 1` zeros between the entries of x and convolve: the way back up from a stride.

    Values, shapes and layouts are those of `jax.lax.conv_transpose` and Flax's `ConvTranspose`:
    'SAME' gives `size * strides` positions, 'VALID' `size * strides + max(window - strides, 0)`;
    an int or pairs pad the interleaved input. 'CIRCULAR' gives `size * strides` positions, which
    lie where those of 'SAME' do.
    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning, 2016, section 4.
    Symmetry under circular padding: a shift of x by 1 shifts the output by `strides`.

    Args:
      x: `[*leading, *space, in]`.
      kernel: `[*window, in, out]`, or `[*window, out, in]` with `transpose_kernel`.
      strides: output positions from one input position to the next.
      padding, kernel_dilation, precision: as for `conv`; 'REFLECT' has no transpose here.
      transpose_kernel: flip the kernel and exchange its channels: then 'SAME' (where the strides
        divide the size), 'VALID' and 'CIRCULAR' are exactly the transpose of the linear map of
        `conv` with the same kernel, strides and padding.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    axes = kernel.ndim - 2
    check_rank(x, axes, "conv_transpose", kernel.shape)
    if transpose_kernel:
        kernel = jnp.flip(kernel, range(axes)).swapaxes(-1, -2)
    check_channels(x, kernel.shape, 1, "conv_transpose")
    strides = per_axis("strides", strides, axes)
    kernel_dilation = per_axis("kernel_dilation", kernel_dilation, axes)
    spans = [
        geometry.span(size, dilation)
        for size, dilation in zip(kernel.shape[:-2], kernel_dilation, strict=True)
    ]
    if padding == "REFLECT":
        raise ValueError("conv_transpose has no padding 'REFLECT'; use 'SAME' or 'CIRCULAR'.")
    x, kernel = promote(x, kernel)
    x, leading = flatten_leading(x, axes)
    if padding == "CIRCULAR":
        x = zero_pad(x, [(0, stride - 1) for stride in strides], strides)
        if transpose_kernel:
            lows = [each // 2 for each in spans]
        else:
            lows = [_same_transposed(*axis)[0] for axis in zip(spans, strides, strict=True)]
        border = [(low, each - 1 - low) for low, each in zip(lows, spans, strict=True)]
        x = jnp.pad(x, [(0, 0), *border, (0, 0)], "wrap")
        pairs, interleave = [(0, 0)] * axes, (1,) * axes
    else:
        pairs = transposed_padding(padding, spans, strides)
        interleave = strides
    window = make_window(x.shape[1:-1], kernel.shape[:-2], 1, pairs, kernel_dilation, interleave)
    z = convolve(x, window, kernel, precision)
    return z.reshape(*leading, *z.shape[1:])


def transposed_padding(
    padding: geometry.Padding, spans: Sequence[int], strides: Sequence[int]
) -> geometry.Padding:
    """What to put around an interleaved input: the border of a transposed convolution.

    Both are chosen so that the transpose of a convolution with that padding comes out; the sizes
    are those of `jax.lax.conv_transpose`.
    """
    axes = list(zip(spans, strides, strict=True))
    if padding == "SAME":
        return [_same_transposed(*axis) for axis in axes]
    if padding == "VALID":
        return [(window - 1, max(window, stride) - 1) for window, stride in axes]
    return padding


def _same_transposed(window_span: int, stride: int) -> tuple[int, int]:
    total = window_span + stride - 2
    low = window_span - 1 if stride > window_span - 1 else -(-total // 2)
    return low, total - low


def promote(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Give all arrays the type that they promote to."""
    dtype = jnp.result_type(*arrays)
    return tuple(jnp.asarray(array, dtype) for array in arrays)


def convolve(
    x: jax.Array, window: Window, kernel: jax.Array, precision: lax.PrecisionLike
) -> jax.Array:
    """Convolve `[batch, *space, in]`, zero padding only, by the fastest way of each platform.

    XLA's CPU backend runs the gradients of grouped convolutions dozens of times slower than those
    of their parts, so there the groups are spelled out; and a pass for which it is slow is computed
    by another algorithm, see `passes`.
    """
    groups = window.feature_group_count
    part = dataclasses.replace(window, feature_group_count=1)
    passes = Passes()
    if x.dtype in (jnp.float32, jnp.float64):  # What rounds more would round its products, too.
        passes = fastest_passes(len(x), part, kernel.shape[-2], kernel.shape[-1] // groups)
        if groups > 1 and kernel.shape[-2] <= FEW_CHANNELS:
            # With few channels on both sides the gradients gain nothing (4 groups of 4 to 4 16x16
            # maps, 3x3: 9.2 ms forward and backward, so 5.4, all passes 8.9).
            passes = Passes(passes.forward)
    if groups == 1 and passes == Passes():
        return lax_convolution(x, kernel, window, precision)
    if groups > 1 and kernel.shape[-2] == 1:
        apart = depthwise_convolution  # products of single numbers: no precision to choose
    else:
        apart = functools.partial(_convolve_group_by_group, precision=precision, passes=passes)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: apart(x, kernel, window=window),
        default=lambda x, kernel: lax_convolution(x, kernel, window, precision),
    )


def _convolve_group_by_group(
    x: jax.Array,
    kernel: jax.Array,
    window: Window,
    precision: lax.PrecisionLike,
    passes: Passes,
) -> jax.Array:
    groups = window.feature_group_count
    window = dataclasses.replace(window, feature_group_count=1)
    split = (jnp.split(each, groups, axis=-1) for each in (x, kernel))
    parts = [convolve_in_passes(*part, window, precision, passes) for part in zip(*split)]
    return jnp.concatenate(parts, axis=-1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def depthwise_convolution(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Convolve every channel of `[batch, *space, in]`, zero padding only, by kernels of its own.

    z[p, c m + j] = sum over a of x[p strides + a kernel_dilation - low, c] kernel[a, 0, c m + j]

    with m = features / in. By autodiff, XLA keeps a copy of x for every kernel entry: forward and
    backward take 2 to 3 times as long.
    """
    return _gathered(x, kernel, window)


@functools.partial(depthwise_convolution.defjvp, symbolic_zeros=True)
def _depthwise_jvp(window, primals, tangents):
    """The product rule; the term of x is written so that its transpose gathers, too."""
    (x, kernel), (dx, dkernel) = primals, tangents
    z = depthwise_convolution(x, kernel, window)
    terms = []
    if not isinstance(dx, SymbolicZero):
        terms.append(_scattered(dx, kernel, window))
    if not isinstance(dkernel, SymbolicZero):
        terms.append(_gathered(x, dkernel, window))
    return z, functools.reduce(jnp.add, terms)


def _gathered(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Add up what each kernel entry reads, weighed."""
    x, window = written_out(x, window)
    reads = (read[..., None] for read in window_slices(x, window))
    weighed = (read * entry for read, entry in zip(reads, _entries(kernel, x), strict=True))
    return _merge_features(functools.reduce(jnp.add, weighed))


def _scattered(x: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Add up where each kernel entry sends the input, weighed, and keep the output's positions."""
    x, window = written_out(x, window)
    total = jnp.zeros((), x.dtype)
    offsets = itertools.product(*map(range, window.kernel_size))
    for offset, entry in zip(offsets, _entries(kernel, x), strict=True):
        each = zip(offset, window.kernel_size, window.kernel_dilation, strict=True)
        pairs = [((size - 1 - step) * spread, step * spread) for step, size, spread in each]
        total = total + zero_pad(x[..., None] * entry, pairs, (1,) * len(pairs))
    starts = [geometry.span(*axis) - 1 for axis in zip(window.kernel_size, window.kernel_dilation)]
    reaches = map(geometry.span, window.out_space, window.strides)
    kept = (
        slice(start, start + reach, stride)
        for start, reach, stride in zip(starts, reaches, window.strides, strict=True)
    )
    return _merge_features(total[(slice(None), *kept)])


def _entries(kernel: jax.Array, x: jax.Array) -> jax.Array:
    """The kernel's entries in turn, each to be multiplied with `[batch, *space, in, 1]`."""
    channels, features = x.shape[-1], kernel.shape[-1]
    return kernel.reshape(-1, *(1,) * (x.ndim - 1), channels, features // channels)


def _merge_features(z: jax.Array) -> jax.Array:
    return z.reshape(*z.shape[:-2], z.shape[-2] * z.shape[-1])
