"""Transformations of images and feature maps that interpolate nothing, or a periodic image only.

Channels last, `[*leading, *space, channels]`; all may be jitted, are batched over leading axes and
differentiable in the image; where a parameter is continuous, in the parameter as well.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def shift(x: jax.Array, shifts: Sequence[int] | jax.Array, fill: float | str = "circular"):
    """Move an image by whole positions: `(g x)[p] = x[p - shifts]`.

    Args:
      x: `[*leading, *space, channels]`, as many spatial axes as there are shifts.
      shifts: an integer an axis; may be traced.
      fill: 'circular', or the number that stands where nothing was moved to.

    Raises:
      ValueError: another fill, or more shifts than spatial axes.
    """
    shifts, axes = _per_axis(x, shifts)
    if fill == "circular":
        return jnp.roll(x, shifts, axes)
    if isinstance(fill, str):
        raise ValueError(f"fill must be 'circular' or a number, got {fill!r}.")
    moved = x
    for step, axis in zip(shifts, axes, strict=True):
        source = jnp.arange(x.shape[axis]) - step
        inside = (source >= 0) & (source < x.shape[axis])
        inside = inside.reshape(-1, *(1,) * (x.ndim - axis - 1))
        inside = jnp.expand_dims(inside, range(axis))
        moved = jnp.where(inside, jnp.take(moved, source, axis=axis, mode="clip"), fill)
    return moved


def fourier_shift(x: jax.Array, shifts: Sequence[float | jax.Array] | jax.Array) -> jax.Array:
    """Move a periodic image by any distance: the shift of its band-limited interpolation.

        F(g x)[k] = F(x)[k] exp(-2 pi i k shift / size)

    A whole shift is `shift(x, shifts, 'circular')` to rounding. At the Nyquist frequency of an even
    axis the real part is taken, cos(pi shift).
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


def rotate90(x: jax.Array, turns: int = 1) -> jax.Array:
    """Rotate by `turns` quarter turns, exactly: positions are permuted, nothing is interpolated.

    Args:
      x: `[*leading, height, width, channels]`.
      turns: any integer, positive counter-clockwise.
    """
    return jnp.rot90(x, turns, axes=(x.ndim - 3, x.ndim - 2))


def flip(x: jax.Array, axis: int) -> jax.Array:
    """Mirror a spatial axis, counted from the channels: -2 is left-right, -3 is up-down.

    Raises:
      ValueError: an axis that is not spatial.
    """
    if axis not in (-2, -3) or x.ndim < -axis:
        raise ValueError(
            f"axis must be -2 (left-right) or -3 (up-down), got {axis!r} of shape {x.shape}."
        )
    return jnp.flip(x, axis)


def _per_axis(x: jax.Array, shifts) -> tuple[list, tuple[int, ...]]:
    shifts = list(shifts)
    if not 1 <= len(shifts) <= x.ndim - 1:
        raise ValueError(
            f"{len(shifts)} shifts need x [*leading, *space, channels] with as many spatial axes, "
            f"got shape {x.shape}."
        )
    return shifts, tuple(range(x.ndim - 1 - len(shifts), x.ndim - 1))
