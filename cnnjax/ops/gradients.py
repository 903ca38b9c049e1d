"""The two gradients of a strided convolution, written out as the sums that they are.

With z[p, o] = sum over a, c of x[p s + a d - low, c] kernel[a, c, o] and G = dJ/dz:

    dJ/dkernel[a, c, o] = sum over p         of G[p, o] x[p s + a d - low, c]
    dJ/dx[q, c]         = sum over o and p, a with p s + a d - low = q of kernel[a, c, o] G[p, o]

JAX derives both; these are for reading, and for whoever writes a backward pass.
Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.11 to 9.13.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, promote
from cnnjax.ops.window import (
    Window,
    flatten_leading,
    make_window,
    window_slices,
    written_out,
    zero_pad,
)


def conv_kernel_gradient(
    x: jax.Array,
    output_gradient: jax.Array,
    kernel_size: int | Sequence[int],
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
) -> jax.Array:
    """Gradient by the kernel of `conv`: dK[a, c, o] = sum over p of G[p, o] x[p s + a d - low, c].

    Each entry of the kernel is one product of what it read with G. Returns `[*window, in, out]`.

    Args:
      x: `[*leading, *space, in]`, the input of the convolution.
      output_gradient: `[*leading, *out_space, out]`, G = dJ/dz.
      kernel_size: size of the kernel's window: one int an axis, or one for all axes but the first
        and the last.
      strides, padding, kernel_dilation: those of the convolution; zero padding only.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    axes = len(kernel_size) if isinstance(kernel_size, Sequence) else x.ndim - 2
    space = x.shape[-axes - 1 : -1]
    window = make_window(space, kernel_size, strides, padding, kernel_dilation)
    _check("conv_kernel_gradient", output_gradient, window, x.shape[: -axes - 1])
    x, output_gradient = promote(x, output_gradient)
    x, _ = flatten_leading(x, axes)
    gradient, _ = flatten_leading(output_gradient, axes)
    x, window = written_out(x, window)
    summed = tuple(range(axes + 1))
    taps = [jnp.tensordot(read, gradient, (summed, summed)) for read in window_slices(x, window)]
    return jnp.stack(taps).reshape(*window.kernel_size, *taps[0].shape)


def conv_input_gradient(
    output_gradient: jax.Array,
    kernel: jax.Array,
    space: Sequence[int],
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
) -> jax.Array:
    """Gradient by the input of `conv`, `[*leading, *space, in]`.

        dV[q, c] = sum over o and p, a with p s + a d - low = q of K[a, c, o] G[p, o]

    Each entry of the kernel sends G back to where it read: a transposed convolution.

    Args:
      output_gradient: `[*leading, *out_space, out]`, G = dJ/dz.
      kernel: `[*window, in, out]`.
      space: sizes of the input's spatial axes; a stride hides them.
      strides, padding, kernel_dilation: those of the convolution; zero padding only.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    axes = kernel.ndim - 2
    window = make_window(space, kernel.shape[:-2], strides, padding, kernel_dilation)
    leading = output_gradient.shape[: -axes - 1]
    _check("conv_input_gradient", output_gradient, window, leading)
    output_gradient, kernel = promote(output_gradient, kernel)
    gradient, _ = flatten_leading(output_gradient, axes)
    total = jnp.zeros((), kernel.dtype)
    taps = itertools.product(*(range(size) for size in window.kernel_size))
    for tap, offsets in zip(kernel.reshape(-1, *kernel.shape[-2:]), taps, strict=True):
        sent = jnp.tensordot(gradient, tap.T, 1)
        total = total + zero_pad(sent, _placed(offsets, window), window.strides)
    return total.reshape(*leading, *total.shape[1:])


def _placed(offsets: tuple[int, ...], window: Window) -> list[tuple[int, int]]:
    """Zeros around the interleaved outputs so that they lie where an entry read; negative: crop."""
    pairs = []
    for axis, offset in enumerate(offsets):
        low = offset * window.kernel_dilation[axis] - window.padding[axis][0]
        length = geometry.span(window.out_space[axis], window.strides[axis])
        pairs.append((low, window.space[axis] - low - length))
    return pairs


def _check(name: str, output_gradient: jax.Array, window: Window, leading: tuple[int, ...]) -> None:
    if window.border != "zero":
        raise ValueError(f"{name} takes zero padding only, got {window.border!r}.")
    if output_gradient.shape[:-1] != (*leading, *window.out_space):
        raise ValueError(
            f"{name}: output_gradient must be {(*leading, *window.out_space, 'out')}, got shape "
            f"{output_gradient.shape}."
        )
