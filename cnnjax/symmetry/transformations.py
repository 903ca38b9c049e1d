"""Transformations of images and feature maps, channels last, `[*leading, *space, channels]`.

Everything is jitted, batched over leading axes, and differentiable in the image; where a parameter
is continuous, in the parameter as well. Angles are in radians, counted counter-clockwise as seen on
a screen, where the first spatial axis points down and the second to the right.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates


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


def fourier_shift(x: jax.Array, shifts: Sequence[float] | jax.Array) -> jax.Array:
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


def rotate_quarter(x: jax.Array, turns: int = 1) -> jax.Array:
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
    if not -x.ndim <= axis <= -2:
        raise ValueError(f"axis must be -2 (left-right) or -3 (up-down), got {axis!r}.")
    return jnp.flip(x, axis)


def affine(x: jax.Array, matrix: jax.Array, fill: float = 0.0) -> jax.Array:
    """Warp an image linearly about its centre, with bilinear interpolation.

        (g x)[c + p] = x[c + matrix^-1 p],    c = (size - 1) / 2

    Args:
      x: `[*leading, height, width, channels]`.
      matrix: `[2, 2]`, acts on (down, right) coordinates; may be traced.
      fill: what lies outside the image.
    """
    height, width = x.shape[-3:-1]
    centre = jnp.array([(height - 1) / 2, (width - 1) / 2], matrix.dtype)[:, None, None]
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"))
    source = jnp.tensordot(jnp.linalg.inv(matrix), grid - centre, axes=1) + centre
    planes = jnp.moveaxis(x, -1, -3).reshape(-1, height, width)
    warped = jax.vmap(
        lambda plane: map_coordinates(plane, list(source), order=1, mode="constant", cval=fill)
    )(planes)
    warped = warped.reshape(*x.shape[:-3], x.shape[-1], height, width)
    return jnp.moveaxis(warped, -3, -1).astype(x.dtype)


def rotate(x: jax.Array, angle: float | jax.Array, fill: float = 0.0) -> jax.Array:
    """Rotate about the centre by any angle, in radians, counter-clockwise, bilinearly.

    Quarter turns of square images are those of `rotate_quarter` to rounding.
    """
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return affine(x, jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])]), fill)


def scale(x: jax.Array, factor: float | jax.Array, fill: float = 0.0) -> jax.Array:
    """Enlarge about the centre by `factor`, which may be below 1, bilinearly."""
    return affine(x, jnp.asarray(factor, jnp.float32) * jnp.eye(2), fill)


def _per_axis(x: jax.Array, shifts) -> tuple[list, tuple[int, ...]]:
    shifts = list(shifts)
    if not 1 <= len(shifts) <= x.ndim - 1:
        raise ValueError(
            f"{len(shifts)} shifts need x [*leading, *space, channels] with as many spatial axes, "
            f"got shape {x.shape}."
        )
    return shifts, tuple(range(x.ndim - 1 - len(shifts), x.ndim - 1))
