"""Depthwise convolution on CPU: shifted copies, weighed and added up, and so are its gradients."""

import functools
import itertools

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from cnnjax.ops import geometry
from cnnjax.ops.window import Window, window_slices, written_out, zero_pad


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
