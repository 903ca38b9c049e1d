"""Convolution by the Fourier transform: in frequency it is a product."""

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, promote
from cnnjax.ops.window import (
    as_floating,
    flatten_leading,
    open_window,
    with_border,
    written_out,
)


def fft_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    precision: lax.PrecisionLike = None,
    flip_kernel: bool = False,
) -> jax.Array:
    """`conv`, computed as a product of Fourier transforms.

        z = F^-1(F(x) conj(F(kernel)))    without the conjugate where the kernel is flipped

    The cost does not depend on the window: it pays for large windows; strides save nothing, as what
    they skip is computed first. Computed in float32 or better; rounding is relative to the largest
    output, not to each: an output that `conv` gives as exactly 0 may be some 1e-7 of the largest
    here, with strides of the largest before they skip any.
    Symmetry: that of `conv`.
    Source: Mathieu, Henaff, LeCun, Fast training of convolutional networks through FFTs, 2014.

    Args:
      x: `[*leading, *space, in]`, 1 to 3 spatial axes.
      kernel: `[*window, in, out]`.
      strides, padding, kernel_dilation, precision, flip_kernel: as for `conv`.

    Returns:
      `[*leading, *out_space, out]`, of the type that x and kernel promote to; of integers, floats.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    window = open_window(
        "fft_conv", x, kernel, strides=strides, padding=padding, kernel_dilation=kernel_dilation
    )
    axes = len(window.space)
    if flip_kernel:
        kernel = jnp.flip(kernel, range(axes))
    x, kernel = map(as_floating, promote(x, kernel))
    dtype = x.dtype
    x, leading = flatten_leading(x, axes)
    x, window = written_out(*with_border(x, window))
    # Around the circle only outputs that a VALID window does not have are mixed up.
    lengths = [fast_length(size) for size in window.space]
    exact = jnp.promote_types(dtype, jnp.float32)
    dilated = lax.pad(
        kernel.astype(exact),
        jnp.zeros((), exact),
        [(0, 0, dilation - 1) for dilation in window.kernel_dilation] + [(0, 0, 0)] * 2,
    )
    spectrum = jnp.fft.rfftn(x.astype(exact), lengths, axes=range(1, axes + 1))
    response = jnp.conj(jnp.fft.rfftn(dilated, lengths, axes=range(axes)))
    product = jnp.einsum("b...i,...io->b...o", spectrum, response, precision=precision)
    z = jnp.fft.irfftn(product, lengths, axes=range(1, axes + 1))
    limits = [
        (positions - 1) * stride + 1
        for positions, stride in zip(window.out_space, window.strides, strict=True)
    ]
    z = lax.slice(
        z,
        [0] * z.ndim,
        [z.shape[0], *limits, z.shape[-1]],
        [1, *window.strides, 1],
    )
    return z.astype(dtype).reshape(*leading, *z.shape[1:])


def fast_length(size: int) -> int:
    """The first length of at least `size` with no prime factor but 2, 3 and 5."""
    size = geometry.positive("size", size)
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1
