"""Transformations of images and feature maps: exact, or band-limited on a periodic image.

Channels last, `[*leading, *space, channels]`; all may be jitted, are batched over leading axes and
differentiable in the image; where a parameter is continuous, in the parameter as well.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def shift(x: jax.Array, shifts: Sequence[int] | jax.Array, fill: float | str = "circular"):
    """Shift an image by whole positions: `(g x)[p] = x[p - shifts]`.

    Args:
      x: `[*leading, *space, channels]`, as many spatial axes as there are shifts.
      shifts: an integer for each axis; may be traced.
      fill: 'circular', or the value of positions without a source.

    Raises:
      ValueError: another fill, or more shifts than spatial axes.
    """
    shifts, axes = _per_axis(x, shifts)
    if fill == "circular":
        return jnp.roll(x, shifts, axes)
    if isinstance(fill, str):
        raise ValueError(f"`fill` must be 'circular' or a number, got {fill!r}.")
    moved = x
    for step, axis in zip(shifts, axes, strict=True):
        source = jnp.arange(x.shape[axis]) - step
        inside = (source >= 0) & (source < x.shape[axis])
        inside = inside.reshape(-1, *(1,) * (x.ndim - axis - 1))
        inside = jnp.expand_dims(inside, range(axis))
        moved = jnp.where(inside, jnp.take(moved, source, axis=axis, mode="clip"), fill)
    return moved


def fourier_shift(x: jax.Array, shifts: Sequence[float | jax.Array] | jax.Array) -> jax.Array:
    """Shift a periodic image by any distance: the shift of its band-limited interpolation.

        F(g x)[k] = F(x)[k] exp(-2 pi i k shift / size)

    A whole shift is `shift(x, shifts, 'circular')` up to rounding. At the Nyquist frequency of an
    even axis the real part is taken, cos(pi shift).

    Args:
      x: `[*leading, *space, channels]`, as many spatial axes as there are shifts.
      shifts: a distance in positions for each axis; may be traced.
    """
    shifts, axes = _per_axis(x, shifts)
    spectrum = jnp.fft.fftn(x, axes=axes)
    for distance, axis in zip(shifts, axes, strict=True):
        size = x.shape[axis]
        frequency = np.fft.fftfreq(size)
        phase = jnp.exp(-2j * np.pi * frequency * distance)
        if size % 2 == 0:
            phase = phase.at[size // 2].set(phase[size // 2].real)
        phase = phase.reshape(-1, *(1,) * (x.ndim - axis - 1))
        spectrum *= jnp.expand_dims(phase, range(axis))
    return jnp.fft.ifftn(spectrum, axes=axes).real.astype(x.dtype)


def rotate90(x: jax.Array, times: int = 1) -> jax.Array:
    """Rotate by 90 degrees `times` times, exactly: positions are permuted, nothing is interpolated.

    Args:
      x: `[*leading, height, width, channels]`.
      times: any integer, positive counter-clockwise.
    """
    return jnp.rot90(x, times, axes=(x.ndim - 3, x.ndim - 2))


def flip(x: jax.Array, axis: int) -> jax.Array:
    """Reflect a spatial axis: -2 is left-right, -3 is up-down.

    Args:
      x: `[*leading, height, width, channels]`.
      axis: -2 or -3, counted from the channels.

    Raises:
      ValueError: an axis that is not spatial.
    """
    if axis not in (-2, -3) or x.ndim < -axis:
        raise ValueError(
            f"`axis` must be -2 (left-right) or -3 (up-down), got {axis!r} of shape {x.shape}."
        )
    return jnp.flip(x, axis)


def _per_axis(x: jax.Array, shifts) -> tuple[list, tuple[int, ...]]:
    shifts = list(shifts)
    if not 1 <= len(shifts) <= x.ndim - 1:
        raise ValueError(
            f"`shifts` must be one for each spatial axis of x [*leading, *space, channels], got "
            f"{len(shifts)} for shape {x.shape}."
        )
    return shifts, tuple(range(x.ndim - 1 - len(shifts), x.ndim - 1))
