"""Pooling: what a window reads, summarised in one number. Strides are 1 unless given.

Channels last, any number of leading axes. A `window_shape` of one int holds for every axis but the
first and the last; with one int an axis, x may have any number of leading axes.
"""

import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, conv
from cnnjax.ops.pool_window import (
    WindowShape,
    along_axis,
    by_window,
    prepare,
    separate,
    sums,
    without_rest,
    write_border,
)
from cnnjax.ops.window import Window, as_floating, per_axis, window_slices


def max_pool(
    x: jax.Array,
    window_shape: WindowShape,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "VALID",
    ceil_mode: bool = False,
) -> jax.Array:
    """Keep the largest entry of every window: z[p, c] = max over a of x[p strides + a - low, c].

    Of equal maxima the first in reading order receives the whole gradient. Padding is never the
    maximum; NaN always is. Returns `[*leading, *out_space, channels]`; an axis has `(W - F) / S +
    1` positions, rounded down, or up in ceil mode.
    Symmetry under circular padding: commutes with every shift by `strides`.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.3.

    Args:
      x: `[*leading, *space, channels]`, 1 to 3 spatial axes.
      window_shape: size of the window.
      strides: input positions from one window to the next.
      padding: as for `conv`.
      ceil_mode: keep a last window that is not full, as long as it begins on the input.

    Raises:
      ValueError: a window that does not fit x, with its values.
    """
    x, leading, window = prepare("max_pool", x, window_shape, strides, padding, ceil_mode)
    x = write_border(x, window, _lowest(x.dtype))
    if separate(window):
        z = _separate_maximum(without_rest(x, window), window)
    else:
        z = _maximum(x, window)
    return z.reshape(*leading, *z.shape[1:])


def max_pool_with_argmax(
    x: jax.Array,
    window_shape: WindowShape,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "VALID",
    ceil_mode: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """`max_pool`, and where each maximum stood: its flat index in x, int32.

    The index is ((b * height + y) * width + x) * channels + c, as in TensorFlow with the batch
    included: `x.reshape(-1)[index]` is the maximum. Of equal maxima the first in reading order.

    Raises:
      ValueError: as `max_pool`; or x has more entries than int32 can count.
    """
    if x.size > np.iinfo(np.int32).max:
        raise ValueError(f"max_pool_with_argmax counts in int32, but x has {x.size} entries.")
    where = jnp.arange(x.size, dtype=jnp.int32).reshape(x.shape)
    arguments = window_shape, strides, padding, ceil_mode
    x, leading, window = prepare("max_pool_with_argmax", x, *arguments)
    where = where.reshape(x.shape)
    entries = [write_border(x, window, _lowest(x.dtype)), write_border(where, window, 0)]
    z, index = _first_maximum(entries, window)
    return z.reshape(*leading, *z.shape[1:]), index.reshape(*leading, *z.shape[1:])


def average_pool(
    x: jax.Array,
    window_shape: WindowShape,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "VALID",
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> jax.Array:
    """Average every window: z[p, c] = mean over a of x[p strides + a - low, c].

    Returns `[*leading, *out_space, channels]`.
    Symmetry under circular padding: commutes with every shift by `strides`.

    Args:
      x, window_shape, strides, padding, ceil_mode: as for `max_pool`.
      count_include_pad: average over the whole window, zeros of the padding and of the last window
        included, instead of over the entries of x alone.

    Raises:
      ValueError: a window that does not fit x, with its values.
    """
    x = as_floating(x)
    x, leading, window = prepare("average_pool", x, window_shape, strides, padding, ceil_mode)
    count: int | jax.Array = math.prod(window.kernel_size)
    if window.border == "zero" and not count_include_pad:
        count = sums(jnp.ones((1, *window.space, 1)), window).astype(x.dtype)
    z = sums(x, window) / count
    return z.reshape(*leading, *z.shape[1:])


def stochastic_pool(
    x: jax.Array,
    window_shape: WindowShape,
    *,
    key: jax.Array | None = None,
    strides: Sizes = 1,
    padding: geometry.Padding = "VALID",
    ceil_mode: bool = False,
) -> jax.Array:
    """Pool by chance in training, by expectation in evaluation, with p_a = x_a / sum of x.

        with a key:  z = x_a, where a is drawn from a window with probability p_a
        without:     z = sum over a of p_a x_a

    A window of zeros gives 0. The gradient of a drawn entry goes to that entry alone. Returns
    `[*leading, *out_space, channels]`.
    Source: Zeiler & Fergus, Stochastic pooling for regularization of deep convolutional neural
    networks, 2013, equations 4 to 6.

    Args:
      x: activations of at least 0, as a ReLU leaves them; negative ones are never drawn.
      window_shape, strides, padding, ceil_mode: as for `max_pool`.
      key: random key of a training step, None in evaluation.

    Raises:
      ValueError: a window that does not fit x, with its values.
    """
    x = as_floating(x)
    x, leading, window = prepare("stochastic_pool", x, window_shape, strides, padding, ceil_mode)
    entries = jnp.stack(list(window_slices(write_border(x, window, 0), window)), axis=-1)
    likely = lax.stop_gradient(entries) if key is not None else entries
    likely = jnp.maximum(likely, 0).astype(jnp.promote_types(x.dtype, jnp.float32))
    if key is None:
        total = likely.sum(-1)
        z = (likely * entries).sum(-1) / jnp.where(total > 0, total, 1)
    else:
        cumulative = jnp.cumsum(likely, axis=-1)
        total = cumulative[..., -1:]
        # In (0, total], so that the entry where the sum first reaches it is never a zero.
        threshold = (1 - jax.random.uniform(key, total.shape, total.dtype)) * total
        drawn = jnp.argmax(cumulative >= threshold, axis=-1)
        z = jnp.take_along_axis(entries, drawn[..., None], axis=-1)[..., 0]
    return z.astype(x.dtype).reshape(*leading, *z.shape[1:])


def global_average_pool(x: jax.Array) -> jax.Array:
    """Average over all space: `[batch, *space, channels]` to `[batch, channels]`.

    Symmetry: unchanged by any rearrangement of positions.
    Source: Lin, Chen, Yan, Network in network, 2014, section 3.2.
    """
    return x.mean(axis=_all_space("global_average_pool", x))


def global_max_pool(x: jax.Array) -> jax.Array:
    """Largest entry over all space: `[batch, *space, channels]` to `[batch, channels]`.

    Equal maxima share the gradient. Symmetry: unchanged by any rearrangement of positions.
    """
    return x.max(axis=_all_space("global_max_pool", x))


def cross_channel_max_pool(x: jax.Array, pieces: int) -> jax.Array:
    """Keep the largest of every `pieces` neighbouring channels (maxout).

        z[..., j] = max over k < pieces of x[..., j pieces + k]

    Pooling over separately learned features can learn which transformations to ignore.
    Source: Goodfellow et al., Maxout networks, 2013, section 3; Deep Learning, figure 9.9.

    Raises:
      ValueError: `pieces` does not divide the channels.
    """
    pieces = geometry.positive("pieces", pieces)
    if x.shape[-1] % pieces:
        raise ValueError(
            f"cross_channel_max_pool: pieces {pieces} must divide the channels, got {x.shape[-1]}."
        )
    each = ([x[..., piece::pieces]] for piece in range(pieces))
    return functools.reduce(_first_of_two, each)[0]


def pool_or_stride(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sizes,
    pool: Callable[..., jax.Array] | None = max_pool,
    window_shape: WindowShape | None = None,
    padding: geometry.Padding = "SAME",
) -> jax.Array:
    """Convolve and downsample by pooling, or in one step by a strided convolution.

    The two give outputs of one shape; under circular padding a strided convolution is a convolution
    whose outputs are pooled by a window of 1. Striding costs fewer multiply-adds, by the product of
    the strides. Returns `[*leading, *out_space, out]`.
    Source: Springenberg et al., Striving for simplicity: the all convolutional net, 2015, sec. 2.

    Args:
      x: `[*leading, *space, in]`.
      kernel: `[*window, in, out]`.
      strides: input positions from one output position to the next.
      pool: `max_pool`, `average_pool` or the like; None strides the convolution instead.
      window_shape: of the pooling; as large as the strides unless given.
      padding: of the convolution, and of the pooling: 'SAME' or 'CIRCULAR'.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    if padding not in ("SAME", "CIRCULAR"):
        raise ValueError(f"pool_or_stride takes padding 'SAME' or 'CIRCULAR', got {padding!r}.")
    axes = kernel.ndim - 2
    if pool is None:
        return conv(x, kernel, strides=strides, padding=padding)
    shape = per_axis("window_shape", strides if window_shape is None else window_shape, axes)
    return pool(conv(x, kernel, padding=padding), shape, strides=strides, padding=padding)


def _maximum(x: jax.Array, window: Window) -> jax.Array:
    return _first_maximum([x], window)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _separate_maximum(x: jax.Array, window: Window) -> jax.Array:
    return _maximum(x, window)


@_separate_maximum.defjvp
def _separate_maximum_jvp(window: Window, primals: tuple, tangents: tuple) -> tuple:
    """The tangent of each window's first maximum; backward, one comparison an entry of x."""
    (x,), (dx,) = primals, tangents
    taps, count = window.kernel_size, math.prod(window.kernel_size)
    offsets = range(2, 2 + 2 * len(taps), 2)  # axes of `by_window`
    numbers = jnp.arange(count, dtype=np.min_scalar_type(count)).reshape(taps)
    number_of_entry = jnp.tile(numbers, window.out_space)[None, ..., None]
    first = _first_maximum([x, number_of_entry], window)[1]
    numbers = numbers.reshape(1, *itertools.chain(*((1, size) for size in taps)), 1)
    is_first = jnp.expand_dims(first, tuple(offsets)) == numbers
    moved = jnp.where(is_first, by_window(dx, window), 0).sum(offsets)
    return _separate_maximum(x, window), moved


def _first_maximum(entries: list[jax.Array], window: Window) -> list[jax.Array]:
    """The maximum of each window of the first array, and what the others hold where it stands.

    One axis at a time, the last first: k + k comparisons for a window of k by k, and of equal
    maxima the first in reading order.
    """
    for axis in reversed(range(len(window.space))):
        parts = zip(*(along_axis(entry, window, axis) for entry in entries), strict=True)
        entries = functools.reduce(_first_of_two, map(list, parts))
    return entries


def _first_of_two(first: list[jax.Array], second: list[jax.Array]) -> list[jax.Array]:
    keep = (first[0] >= second[0]) | (first[0] != first[0])  # a NaN is kept
    return [jnp.where(keep, one, other) for one, other in zip(first, second, strict=True)]


def _lowest(dtype: jnp.dtype) -> float:
    return -jnp.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def _all_space(name: str, x: jax.Array) -> tuple[int, ...]:
    if x.ndim < 3:
        raise ValueError(f"{name} needs x [batch, *space, channels], got shape {x.shape}.")
    return tuple(range(1, x.ndim - 1))
