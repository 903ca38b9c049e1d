"""The window of a pooling over x: checked, its border written out, its entries read."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes
from cnnjax.ops.window import Window, flatten_leading, make_window

WindowShape = int | Sequence[int]


def prepare(
    name: str,
    x: jax.Array,
    window_shape: WindowShape,
    strides: Sizes,
    padding: geometry.Padding,
    ceil_mode: bool,
) -> tuple[jax.Array, tuple[int, ...], Window]:
    """x with one batch axis, the leading axes that were merged in it, and the window."""
    axes = len(window_shape) if isinstance(window_shape, Sequence) else x.ndim - 2
    if not 1 <= axes <= 3 or x.ndim < axes + 1:
        raise ValueError(
            f"{name}: a window_shape {window_shape!r} needs x [*leading, *space, channels] with 1 "
            f"to 3 spatial axes, got {x.shape}."
        )
    x, leading = flatten_leading(x, axes)
    window = make_window(x.shape[1:-1], window_shape, strides, padding)
    for taps, pair in zip(window.kernel_size, window.padding, strict=True):
        if max(pair) >= taps:
            raise ValueError(
                f"{name}: padding {pair} must be less than the window of {taps}, else a window "
                f"reads nothing."
            )
    return x, leading, _with_last_windows(window) if ceil_mode else window


def write_border(x: jax.Array, window: Window, fill: float) -> jax.Array:
    """Write the border of `[batch, *space, channels]` out."""
    pairs = [(0, 0), *window.padding, (0, 0)]
    if window.border != "zero":
        return jnp.pad(x, pairs, mode="wrap" if window.border == "CIRCULAR" else "reflect")
    return lax.pad(x, jnp.asarray(fill, x.dtype), [(*pair, 0) for pair in pairs])


def along_axis(x: jax.Array, window: Window, axis: int) -> list[jax.Array]:
    """For each offset on one spatial axis, what it reads of a padded x."""
    stride, reach = window.strides[axis], (window.out_space[axis] - 1) * window.strides[axis] + 1
    taps = range(window.kernel_size[axis])
    return [lax.slice_in_dim(x, tap, tap + reach, stride, axis + 1) for tap in taps]


def separate(window: Window) -> bool:
    """Whether the windows lie side by side: no entry is read twice, none between two is skipped."""
    return window.kernel_size == window.strides


def without_rest(x: jax.Array, window: Window) -> jax.Array:
    """The part of a padded x that separate windows read: what is left over at the end cut off."""
    each = zip(window.out_space, window.kernel_size, strict=True)
    return x[(slice(None), *(slice(positions * taps) for positions, taps in each))]


def by_window(x: jax.Array, window: Window) -> jax.Array:
    """All that separate windows read, `[batch, position, offset, position, offset, ..., channels]`.

    A selection or a sum over offsets has a transpose that copies; that of one over strided slices
    adds up padded arrays.
    """
    each = zip(window.out_space, window.kernel_size, strict=True)
    return x.reshape(len(x), *itertools.chain(*each), x.shape[-1])


def sums(x: jax.Array, window: Window) -> jax.Array:
    """Sum of every window, zeros in a border of zeros."""
    x = write_border(x, window, 0)
    if separate(window):
        return _separate_sums(without_rest(x, window), window)
    return _added(x, window)


def _added(x: jax.Array, window: Window) -> jax.Array:
    for axis in range(len(window.space)):
        x = functools.reduce(jnp.add, along_axis(x, window, axis))
    return x


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _separate_sums(x: jax.Array, window: Window) -> jax.Array:
    return _added(x, window)


@_separate_sums.defjvp
def _separate_sums_jvp(window: Window, primals: tuple, tangents: tuple) -> tuple:
    """The same map, written so that its transpose is fast."""
    (x,), (dx,) = primals, tangents
    offsets = range(2, 2 + 2 * len(window.space), 2)
    return _separate_sums(x, window), by_window(dx, window).sum(offsets)


def _with_last_windows(window: Window) -> Window:
    """Pad above until the last window that begins on the input fits."""
    padding, out_space = [], []
    each = zip(window.space, window.kernel_size, window.strides, window.padding, strict=True)
    for size, taps, stride, (low, high) in each:
        windows = -(-(size + low + high - taps) // stride) + 1
        if (windows - 1) * stride >= size + low:
            windows -= 1
        padding.append((low, max(high, (windows - 1) * stride + taps - size - low)))
        out_space.append(windows)
    return dataclasses.replace(window, padding=tuple(padding), out_space=tuple(out_space))
