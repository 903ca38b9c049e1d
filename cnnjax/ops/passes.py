"""The three passes of a convolution on CPU, each by the algorithm that is fastest there.

Forward, gradient by the input and gradient by the kernel cost the same multiply-adds, but XLA's CPU
backend computes some of them many times slower than others. The algorithms give the same sums:

    'lax'          XLA's own convolution
    'patches'      what each window reads, side by side, times the kernel: one matrix product
    'overlap_add'  the input times the kernel's entries, side by side: one matrix product, whose
                   parts are shifted and added up

Transposed, 'patches' is an overlap-add of the output's gradient, and 'overlap_add' the product of
its patches. Times below are those of one pass at float32 on two cores (AMD EPYC, Zen 4), jax 0.10.
"""

import dataclasses
import functools
import itertools
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from cnnjax.ops import geometry
from cnnjax.ops.window import Window, window_slices, written_out, zero_pad

Algorithm = Literal["lax", "patches", "overlap_add"]

FEW_CHANNELS = 4
"""Matrix products of so few columns are what XLA's convolutions are slow at."""

NARROW_PATCH = 64
"""Numbers that a window reads, up to which copying them out is cheaper than XLA's convolution."""

SMALL_COPY = 2**26
"""Numbers that 'patches' and 'overlap_add' may hold at a time, however small the input."""


class Passes(NamedTuple):
    """The algorithm of each pass."""

    forward: Algorithm = "lax"
    by_input: Algorithm = "lax"
    by_kernel: Algorithm = "lax"


def fastest_passes(batch: int, window: Window, in_features: int, features: int) -> Passes:
    """Choose the algorithms by shapes alone, for one group of channels.

    * XLA exchanges input and kernel where the kernel has more positions, and computes the result in
      plain loops. Forward, the two are input and kernel; by the input, output and kernel; by the
      kernel, input and output. (4x4 maps of 64 channels, 5x5 kernels: 15 ms forward, by patches 2;
      the kernel's gradient of a transposed convolution with strides of 2: 470 ms, here 7.)
    * Few output channels: overlap-add (24x24 maps, 64 to 3 channels, 3x3 kernels: 16 ms forward,
      here 2; by the kernel 19 and 5).
    * Few input channels: to them the gradient comes by overlap-add (3 to 64 channels: 15 ms, here
      3), and forward patches are faster as long as they are narrow (1 to 6 channels, 5x5: 6.5 and
      4; but of 7x7x3 to 64 channels 66 and 88).

    Whatever needs a copy of more than `SMALL_COPY` numbers, and of 8 times the input and output, is
    left to XLA.
    """
    entries, inputs, outputs = map(math.prod, (window.kernel_size, window.space, window.out_space))
    held = max(SMALL_COPY, 8 * batch * max(inputs * in_features, outputs * features))
    patches_fit = batch * outputs * entries * in_features <= held
    products_fit = batch * inputs * entries * features <= held
    in_steps = max(window.strides) == 1
    dense = in_steps and max(window.input_dilation) == 1
    chosen = Passes()
    few = entries > 1 and features <= FEW_CHANNELS
    # An overlap-add multiplies at every input position: with more of these it computes in vain.
    if in_steps and products_fit and few and inputs <= outputs:
        chosen = chosen._replace(forward="overlap_add", by_kernel="overlap_add")
    if dense and patches_fit and entries > 1 and in_features <= FEW_CHANNELS:
        chosen = chosen._replace(by_input="patches")
        if entries * in_features <= NARROW_PATCH:
            chosen = chosen._replace(forward="patches")
    if patches_fit and entries > inputs:
        chosen = chosen._replace(forward="patches")
    if patches_fit and entries > outputs:
        chosen = chosen._replace(by_input="patches")
    if outputs > inputs:
        if in_steps and products_fit:
            chosen = chosen._replace(by_kernel="overlap_add")
        elif patches_fit:
            chosen = chosen._replace(by_kernel="patches")
    return chosen


def convolve_in_passes(
    x: jax.Array,
    kernel: jax.Array,
    window: Window,
    precision: lax.PrecisionLike,
    passes: Passes,
) -> jax.Array:
    """Convolve `[batch, *space, in]`, zero padding and one group only, as `passes` say."""
    if passes == Passes():
        return lax_convolution(x, kernel, window, precision)
    return _convolve(x, kernel, window, precision, passes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _convolve(
    x: jax.Array,
    kernel: jax.Array,
    window: Window,
    precision: lax.PrecisionLike,
    passes: Passes,
) -> jax.Array:
    return _FORWARD[passes.forward](x, kernel, window, precision)


@functools.partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(window, precision, passes, primals, tangents):
    """The product rule, each term by the algorithm whose transpose the gradient is to be."""
    (x, kernel), (dx, dkernel) = primals, tangents
    z = _convolve(x, kernel, window, precision, passes)
    terms = []
    if not isinstance(dx, SymbolicZero):
        terms.append(_BY_INPUT[passes.by_input](dx, kernel, window, precision))
    if not isinstance(dkernel, SymbolicZero):
        terms.append(_FORWARD[passes.by_kernel](x, dkernel, window, precision))
    return z, functools.reduce(jnp.add, terms)


def lax_convolution(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    """Convolve `[batch, *space, in]`, zero padding only, by XLA's own convolution.

    It is called so that it and its derivatives are right on CPU, and not slowed down by dilation.
    """
    x, window = _with_safe_padding(*_without_common_steps(x, window))
    letters = "HWD"[: len(window.kernel_size)]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=window.strides,
        padding=window.padding,
        lhs_dilation=window.input_dilation,
        rhs_dilation=window.kernel_dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=window.feature_group_count,
        precision=precision,
    )


def _without_common_steps(x: jax.Array, window: Window) -> tuple[jax.Array, Window]:
    """Drop the inputs that no window reads because strides and dilation share a factor.

    What is left has smaller strides and dilation: no dilation at all where it divides the strides,
    and dilated convolutions are slow (on CPU, forward and backward together take 2 to 4 times as
    long).
    """
    common = [math.gcd(*each) for each in zip(window.strides, window.kernel_dilation)]
    if max(common) == 1:
        return x, window
    x, window = written_out(x, window)
    reach = [
        (size - 1) * stride + geometry.span(taps, dilation)
        for size, stride, taps, dilation in zip(
            window.out_space, window.strides, window.kernel_size, window.kernel_dilation
        )
    ]
    x = x[(slice(None), *(slice(0, stop, step) for stop, step in zip(reach, common)))]
    return x, dataclasses.replace(
        window,
        space=x.shape[1:-1],
        strides=tuple(stride // step for stride, step in zip(window.strides, common)),
        kernel_dilation=tuple(each // step for each, step in zip(window.kernel_dilation, common)),
    )


def _with_safe_padding(x: jax.Array, window: Window) -> tuple[jax.Array, Window]:
    """Write zero padding out where XLA would get it, or a derivative's, wrong.

    On CPU, XLA of jax 0.10 returns wrong numbers for a convolution that crops below and pads above
    (jax 0.12 does not). The derivatives of a convolution are convolutions whose padding below is
    `span - 1 - low` and, of second order, `reach - 1 - low`: those must not be negative.
    """
    for axis, (low, high) in enumerate(window.padding):
        window_span = geometry.span(window.kernel_size[axis], window.kernel_dilation[axis])
        reach = geometry.span(window.out_space[axis], window.strides[axis])
        if (low < 0 < high) or low >= min(window_span, reach):
            x, window = written_out(x, window)
            break
    return x, window


def _by_patches(
    x: jax.Array,
    kernel: jax.Array,
    window: Window,
    precision: lax.PrecisionLike,
    *,
    at_once: bool = False,
) -> jax.Array:
    """Copy what the windows read axis by axis, which reads less, or at once, which adds up less."""

    @jax.checkpoint  # Patches are made again in the backward pass, not kept.
    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        padded, dense = written_out(x, window)
        if at_once:
            patches = jnp.concatenate(list(window_slices(padded, dense)), axis=-1)
        else:
            patches = padded
            for axis in reversed(range(len(dense.space))):
                patches = jnp.concatenate(_reads(patches, dense, axis), axis=-1)
        matrix = kernel.reshape(-1, kernel.shape[-1])
        return jnp.tensordot(patches, matrix, 1, precision=precision)

    return product(x, kernel)


def _reads(x: jax.Array, window: Window, axis: int) -> list[jax.Array]:
    """For each offset on one spatial axis, what it reads there at every output position."""
    stride, dilation = window.strides[axis], window.kernel_dilation[axis]
    reach = geometry.span(window.out_space[axis], stride)
    starts = (offset * dilation for offset in range(window.kernel_size[axis]))
    return [lax.slice_in_dim(x, start, start + reach, stride, axis + 1) for start in starts]


def _by_overlap_add(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    in_features, features = kernel.shape[-2:]
    entries = math.prod(window.kernel_size)
    side_by_side = jnp.moveaxis(kernel.reshape(entries, in_features, features), 0, 1)
    products = jnp.tensordot(
        x, side_by_side.reshape(in_features, entries * features), 1, precision=precision
    )
    # Split at once: the gradient is then one concatenation, where indexing adds up whole arrays.
    parts = jnp.split(products, entries, axis=-1)
    offsets = itertools.product(*map(range, window.kernel_size))
    shifted = (
        zero_pad(part, _shift(offset, window), window.input_dilation)
        for part, offset in zip(parts, offsets, strict=True)
    )
    z = functools.reduce(jnp.add, shifted)
    steps = (slice(None, None, stride) for stride in window.strides)
    return z[(slice(None), *steps)] if max(window.strides) > 1 else z


def _shift(offset: tuple[int, ...], window: Window) -> list[tuple[int, int]]:
    """Zeros around the dilated inputs so that each lies where it is read with this offset."""
    pairs = []
    for axis, step in enumerate(offset):
        low = window.padding[axis][0] - step * window.kernel_dilation[axis]
        length = geometry.span(window.space[axis], window.input_dilation[axis])
        reach = geometry.span(window.out_space[axis], window.strides[axis])
        pairs.append((low, reach - low - length))
    return pairs


_FORWARD = {
    "lax": lax_convolution,
    "patches": _by_patches,
    "overlap_add": _by_overlap_add,
}
_BY_INPUT = {**_FORWARD, "patches": functools.partial(_by_patches, at_once=True)}
