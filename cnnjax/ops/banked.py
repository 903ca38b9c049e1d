"""Convolution with a bank of kernels: tiled, low-rank local; locally connected in `unshared`.

One formula holds for all, with the rule that says which kernel of the bank a position uses:

    z[p, o] = sum over a, c of x[p strides + a kernel_dilation - low, c] kernel[rule(p), a, c, o]

Sources: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.9 (unshared) and 9.10 (tiled);
Gregor & LeCun, Emergence of complex-like cells in a temporal product network, 2010 (tiled).
"""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, convolve, promote
from cnnjax.ops.unshared import banked_axes, check_positions, unshared
from cnnjax.ops.window import (
    Window,
    flatten_leading,
    open_window,
    with_border,
    written_out,
    zero_pad,
)


def tiled_conv(
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
    """Convolve with kernels that take turns: output position p uses kernel `p mod tile`.

    A tile of 1 is `conv`, a tile as large as the output is `local_conv`. It costs the multiply-adds
    of `conv`. Kernels beyond the output's size are not used. Returns `[*leading, *out_space, out]`.
    Symmetry under circular padding: commutes with shifts by `strides * tile` input positions, where
    that divides the axis; else with the zero shift only.

    Args:
      x: `[*leading, *space, in]`.
      kernel: `[*tile, *window, in/groups, out]`, one tile size and one window size a spatial axis.
      strides, padding, kernel_dilation, input_dilation, feature_group_count, precision: as for
        `conv`.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    axes = banked_axes(kernel, "tiled_conv", "[*tile, *window, in/groups, out]")
    tile = kernel.shape[:axes]
    if 0 in tile:
        raise ValueError(f"tiled_conv: every tile size must be at least 1, got {tile}.")
    options = strides, padding, kernel_dilation, input_dilation, feature_group_count
    window = open_window("tiled_conv", x, kernel, axes, *options)
    x, kernel = promote(x, kernel)
    x, leading = flatten_leading(x, axes)
    x, window = with_border(x, window)
    # The part of the bank that the output uses, so that no phase is empty.
    tile = tuple(min(size, positions) for size, positions in zip(tile, window.out_space))
    kernel = kernel[tuple(slice(size) for size in tile)]
    if tile == window.out_space:
        z = unshared(x, kernel, window, precision)
    elif math.prod(tile) == 1:
        z = convolve(x, window, kernel.reshape(kernel.shape[axes:]), precision)
    else:
        z = _tile_by_phase(x, kernel, window, tile, precision)
    return z.reshape(*leading, *z.shape[1:])


def _tile_by_phase(
    x: jax.Array,
    kernel: jax.Array,
    window: Window,
    tile: tuple[int, ...],
    precision: lax.PrecisionLike,
) -> jax.Array:
    """One strided convolution for each kernel, over the positions that use it."""
    # The barrier keeps XLA from merging this padding with the cropping of each phase: on CPU, jax
    # 0.10 gets a convolution wrong that crops below and pads above.
    x, window = written_out(x, window)
    x = lax.optimization_barrier(x)
    # Split at once: the gradient is then one concatenation, where indexing adds up whole banks.
    kernels = jnp.split(kernel.reshape(-1, *kernel.shape[len(tile) :]), math.prod(tile))
    phases = itertools.product(*(range(size) for size in tile))
    parts = [
        convolve(x, _phase(window, phase, tile), one[0], precision)
        for phase, one in zip(phases, kernels, strict=True)
    ]
    return _interleave(parts, tile, window.out_space)


def _phase(window: Window, phase: tuple[int, ...], tile: tuple[int, ...]) -> Window:
    """The window that visits only the positions `phase, phase + tile, phase + 2 tile, ...`.

    The input is padded already: what is left over at either end is skipped by negative padding,
    since slicing would copy the input once a phase.
    """
    strides, padding, out_space = [], [], []
    for axis, (first, step) in enumerate(zip(phase, tile, strict=True)):
        stride = window.strides[axis]
        positions = -(-(window.out_space[axis] - first) // step)
        low = -first * stride
        reach = (positions - 1) * stride * step + geometry.span(
            window.kernel_size[axis], window.kernel_dilation[axis]
        )
        strides.append(stride * step)
        padding.append((low, reach - window.space[axis] - low))
        out_space.append(positions)
    return dataclasses.replace(
        window, strides=tuple(strides), padding=tuple(padding), out_space=tuple(out_space)
    )


def _interleave(
    parts: list[jax.Array], tile: tuple[int, ...], out_space: tuple[int, ...]
) -> jax.Array:
    """Put the phases, first axis slowest, back where their positions lie."""
    axes = len(tile)
    counts = [-(-size // step) for size, step in zip(out_space, tile, strict=True)]
    filled = [
        zero_pad(part, [(0, n - size) for n, size in zip(counts, part.shape[1:-1])], [1] * axes)
        for part in parts
    ]
    z = jnp.stack(filled).reshape(*tile, *filled[0].shape)
    batch, features = axes, 2 * axes + 1
    order = [batch, *itertools.chain(*((axes + 1 + axis, axis) for axis in range(axes))), features]
    z = z.transpose(order)
    z = z.reshape(z.shape[0], *(n * step for n, step in zip(counts, tile)), z.shape[-1])
    return z[(slice(None), *(slice(size) for size in out_space))]


def low_rank_local_conv(
    x: jax.Array,
    kernels: jax.Array,
    weights: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    input_dilation: Sizes = 1,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Connect locally with kernels that are mixtures of a few: a bank of rank `rank`.

        z[p] = sum over r of weights[p, r] (x * kernels[r])[p]

    Computed as one wide convolution and one weighted sum: `rank` times the multiply-adds of `conv`.
    Returns `[*leading, *out_space, out]`.
    Source: Elsayed, Ramachandran, Shlens, Kornblith, Revisiting spatial invariance with low-rank
    local connectivity, 2020, section 3.
    Symmetry: none in general; that of `conv` where all positions have equal weights.

    Args:
      x: `[*leading, *space, in]`.
      kernels: `[rank, *window, in/groups, out]`.
      weights: `[*out_space, rank]`.
      strides, padding, kernel_dilation, input_dilation, feature_group_count, precision: as for
        `conv`.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    options = strides, padding, kernel_dilation, input_dilation, feature_group_count
    window = open_window("low_rank_local_conv", x, kernels, 1, *options)
    rank, groups, features = kernels.shape[0], feature_group_count, kernels.shape[-1]
    check_positions("low_rank_local_conv: weights", weights.shape, weights.shape[:-1], window)
    if weights.shape[-1] != rank or rank < 1:
        raise ValueError(
            f"low_rank_local_conv: weights of shape {weights.shape} mix {weights.shape[-1]} "
            f"kernels, but kernels of shape {kernels.shape} holds {rank}; both need the same, "
            f"at least 1."
        )
    x, kernels, weights = promote(x, kernels, weights)
    x, leading = flatten_leading(x, len(window.space))
    # Output channels must be ordered group by group, so the rank goes inside the groups.
    wide = kernels.reshape(*kernels.shape[:-1], groups, features // groups)
    wide = jnp.moveaxis(wide, 0, -2).reshape(*kernels.shape[1:-1], rank * features)
    z = convolve(*with_border(x, window), wide, precision)
    # All positions on one axis: of sums of products over arrays of 7 axes, on CPU, jax 0.10 may die
    # or return NaN (its YNNPACK holds 8 axes and needs 2 of its own). So may the gradients'.
    positions = math.prod(window.out_space)
    z = z.reshape(len(z), positions, groups, rank * (features // groups))
    # A sum of terms: as a reduction, XLA on CPU would compute it and the convolution in one loop on
    # one core, 2 to 3 times slower.
    terms = zip(jnp.split(z, rank, -1), jnp.split(weights.reshape(positions, 1, rank), rank, -1))
    z = functools.reduce(jnp.add, (mixed * weight[None] for mixed, weight in terms))
    return z.reshape(*leading, *window.out_space, features)
