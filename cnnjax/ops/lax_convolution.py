"""XLA's own convolution, called so that it and its derivatives are right and not slow."""

import dataclasses
import math

import jax
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.window import Window, written_out


def lax_convolution(
    x: jax.Array, kernel: jax.Array, window: Window, precision: lax.PrecisionLike
) -> jax.Array:
    """Convolve `[batch, *space, in]`, zero padding only, by `lax.conv_general_dilated`."""
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
