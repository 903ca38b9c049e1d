"""The arguments that every convolution shares, checked once and in full, and their border."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import geometry


@dataclasses.dataclass(frozen=True)
class Window:
    """A window that slides over an input: everything static about a convolution, per axis."""

    space: tuple[int, ...]
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    border: str
    """What stands in the padding: 'zero', 'CIRCULAR' or 'REFLECT'."""
    kernel_dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    feature_group_count: int
    out_space: tuple[int, ...]


def per_axis(name: str, value: int | Sequence[int] | None, axes: int) -> tuple[int, ...]:
    """One integer of at least 1 for every axis; a single one counts for all, None means 1."""
    if value is None:
        value = 1
    if isinstance(value, Sequence):
        values = tuple(value)
        if len(values) != axes:
            raise ValueError(
                f"{name} must be one integer or {axes}, one a spatial axis, got {value!r}."
            )
    else:
        values = (value,) * axes
    return tuple(geometry.positive(name, entry) for entry in values)


def padding_per_axis(padding: geometry.Padding, axes: int) -> tuple:
    """The padding of each axis: a name, or a (low, high) pair."""
    if isinstance(padding, str):
        return (padding,) * axes
    if isinstance(padding, Sequence):
        if len(padding) != axes:
            raise ValueError(
                f"padding must have one int or (low, high) pair for each of {axes} spatial axes, "
                f"got {padding!r}."
            )
        return tuple(padding)
    return (padding,) * axes


def make_window(
    space: Sequence[int],
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] | None = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: int | Sequence[int] | None = 1,
    input_dilation: int | Sequence[int] | None = 1,
    feature_group_count: int = 1,
) -> Window:
    """Check the arguments of a convolution over `space` and spell each of them out per axis.

    Raises:
      ValueError: for each argument that does not fit, with its value.
    """
    space = tuple(space)
    axes = len(space)
    if not 1 <= axes <= 3:
        raise ValueError(f"a convolution has 1 to 3 spatial axes, got {axes} in {space}.")
    kernel_size = per_axis("kernel_size", kernel_size, axes)
    strides = per_axis("strides", strides, axes)
    kernel_dilation = per_axis("kernel_dilation", kernel_dilation, axes)
    input_dilation = per_axis("input_dilation", input_dilation, axes)
    names = padding_per_axis(padding, axes)
    each = tuple(zip(space, kernel_size, strides, names, kernel_dilation, input_dilation))
    return Window(
        space=space,
        kernel_size=kernel_size,
        strides=strides,
        padding=tuple(geometry.padding_pair(*axis) for axis in each),
        border=str(padding) if padding in ("CIRCULAR", "REFLECT") else "zero",
        kernel_dilation=kernel_dilation,
        input_dilation=input_dilation,
        feature_group_count=geometry.positive("feature_group_count", feature_group_count),
        out_space=tuple(geometry.output_size(*axis) for axis in each),
    )


def open_window(
    operator_name: str,
    x: jax.Array,
    kernel: jax.Array,
    bank_axes: int = 0,
    strides: int | Sequence[int] | None = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: int | Sequence[int] | None = 1,
    input_dilation: int | Sequence[int] | None = 1,
    feature_group_count: int = 1,
) -> Window:
    """The window of a kernel that slides over x, all arguments of the operator checked.

    Args:
      operator_name: begins the sentence about shapes that do not fit.
      x: `[*leading, *space, in]`.
      kernel: `[*bank, *window, in/groups, out]`, with `bank_axes` axes of the bank.
      strides, padding, kernel_dilation, input_dilation, feature_group_count: the operator's.

    Raises:
      ValueError: for each argument that does not fit, with its value.
    """
    one = kernel.shape[bank_axes:]
    axes = len(one) - 2
    check_rank(x, axes, operator_name, kernel.shape)
    check_channels(x, one, feature_group_count, operator_name)
    options = strides, padding, kernel_dilation, input_dilation, feature_group_count
    return make_window(x.shape[-axes - 1 : -1], one[:-2], *options)


def check_channels(
    x: jax.Array, kernel_shape: Sequence[int], feature_group_count: int, operator_name: str
) -> None:
    """Raise ValueError unless `[*window, in/groups, out]` fits the channels of x."""
    groups = geometry.positive("feature_group_count", feature_group_count)
    geometry.check_groups(x.shape[-1], kernel_shape[-1], groups)
    if kernel_shape[-2] * groups != x.shape[-1]:
        raise ValueError(
            f"{operator_name}: a kernel of shape {tuple(kernel_shape)} with feature_group_count "
            f"{groups} reads {kernel_shape[-2] * groups} input channels, but x of shape {x.shape} "
            f"has {x.shape[-1]}."
        )


def check_rank(x: jax.Array, axes: int, operator_name: str, kernel_shape: Sequence[int]) -> None:
    """Raise ValueError unless x has `axes` spatial axes and one of channels."""
    if not 1 <= axes <= 3:
        raise ValueError(
            f"{operator_name}: a kernel of shape {tuple(kernel_shape)} does not have 1 to 3 "
            f"spatial axes."
        )
    if x.ndim < axes + 1:
        raise ValueError(
            f"{operator_name}: a kernel of shape {tuple(kernel_shape)} has {axes} spatial axes and "
            f"needs x [*leading, *space, channels] of rank {axes + 1} or more, got {x.shape}."
        )


def as_floating(x: jax.Array) -> jax.Array:
    """Promote integers to the default float type; leave floats and complex numbers as they are."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))


def flatten_leading(x: jax.Array, axes: int) -> tuple[jax.Array, tuple[int, ...]]:
    """Merge the leading axes of `[*leading, *space, channels]` into one batch."""
    leading = x.shape[: x.ndim - axes - 1]
    return x.reshape(math.prod(leading), *x.shape[x.ndim - axes - 1 :]), leading


def with_border(x: jax.Array, window: Window) -> tuple[jax.Array, Window]:
    """Write a circular or reflected border of x `[batch, *space, channels]` out.

    Returns the input, and the window that reads it with zero padding only.
    """
    if window.border == "zero":
        return x, window
    if any(dilation > 1 for dilation in window.input_dilation):
        circular = window.border == "CIRCULAR"
        high = [dilation - 1 if circular else 0 for dilation in window.input_dilation]
        x = zero_pad(x, [(0, each) for each in high], window.input_dilation)
    mode = "wrap" if window.border == "CIRCULAR" else "reflect"
    x = jnp.pad(x, [(0, 0), *window.padding, (0, 0)], mode=mode)
    return x, _without_padding(window, x.shape[1:-1])


def written_out(x: jax.Array, window: Window) -> tuple[jax.Array, Window]:
    """Write zero padding and input dilation out: the input, and the window that needs neither."""
    x = zero_pad(x, window.padding, window.input_dilation)
    return x, _without_padding(window, x.shape[1:-1])


def _without_padding(window: Window, space: tuple[int, ...]) -> Window:
    axes = len(space)
    return dataclasses.replace(
        window, space=space, padding=((0, 0),) * axes, border="zero", input_dilation=(1,) * axes
    )


def zero_pad(
    x: jax.Array, padding: Sequence[tuple[int, int]], input_dilation: Sequence[int], first: int = 1
) -> jax.Array:
    """Interleave and surround the spatial axes of x, which begin at axis `first`, with zeros.

    Negative padding crops.
    """
    inner = [
        (low, high, dilation - 1)
        for (low, high), dilation in zip(padding, input_dilation, strict=True)
    ]
    outer = [(0, 0, 0)]
    rest = x.ndim - first - len(inner)
    return lax.pad(x, jnp.zeros((), x.dtype), outer * first + inner + outer * rest)


def window_slices(x: jax.Array, window: Window, first: int = 1) -> Iterator[jax.Array]:
    """For each kernel offset in turn, what it reads at every output position.

    x is padded and dilated already, its spatial axes begin at axis `first`; the window's kernel
    size, strides, kernel dilation and output sizes count. Yields x with its spatial axes replaced
    by `out_space`.
    """
    for offsets in itertools.product(*(range(size) for size in window.kernel_size)):
        start = [offset * step for offset, step in zip(offsets, window.kernel_dilation)]
        limit = [
            begin + (size - 1) * stride + 1
            for begin, size, stride in zip(start, window.out_space, window.strides)
        ]
        rest = x.shape[first + len(start) :]
        yield lax.slice(
            x,
            [0] * first + start + [0] * len(rest),
            [*x.shape[:first], *limit, *rest],
            [1] * first + list(window.strides) + [1] * len(rest),
        )
