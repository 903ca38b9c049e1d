"""Transformations of images and feature maps: exact, band-limited, or interpolated.

Channels last, `[*leading, *space, channels]`; all may be jitted, are batched over leading axes and
differentiable in the image; where a parameter is continuous, in the parameter as well. Angles are
in radians, counter-clockwise as seen on a screen, where the first spatial axis points down and the
second to the right. Interpolation is

    bilinear  of 2 x 2 pixels, see `ops.interpolate`
    bicubic   of 4 x 4 pixels, smooth in the parameter
    fourier   band-limited and periodic; rotations and shears only. Frequencies below the Nyquist
              frequency are sheared without loss; rotations are smooth in the angle except at 45
              degrees, where the nearest multiple of 90 degrees changes
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops.interpolation import affine_sources, interpolate

Interpolation = Literal["bilinear", "bicubic", "fourier"]
Amount = float | jax.Array
Vector = Sequence[float] | jax.Array


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
        inside = _on_axis(inside, axis, x.ndim)
        moved = jnp.where(inside, jnp.take(moved, source, axis=axis, mode="clip"), fill)
    return moved


def fourier_shift(x: jax.Array, shifts: Sequence[float | jax.Array] | jax.Array) -> jax.Array:
    """Shift a periodic image by any distance: the shift of its band-limited interpolation.

        F(g x)[k] = F(x)[k] exp(-2 pi i k shift / size)

    A whole shift is `shift(x, shifts, 'circular')` up to rounding. At the Nyquist frequency of an
    even axis the real part is taken, cos(pi shift). Arguments as of `shift`.
    """
    shifts, axes = _per_axis(x, shifts)
    spectrum = jnp.fft.fftn(x, axes=axes)
    for distance, axis in zip(shifts, axes, strict=True):
        spectrum *= _on_axis(_phases(x.shape[axis], distance), axis, x.ndim)
    return jnp.fft.ifftn(spectrum, axes=axes).real.astype(x.dtype)


def rotate90(x: jax.Array, times: int = 1) -> jax.Array:
    """Rotate x `[*leading, height, width, channels]` by 90 degrees `times` times, exactly.

    Counter-clockwise; positions are permuted, nothing is interpolated. A NumPy array stays one.
    """
    numpy: Any = np if isinstance(x, np.ndarray) else jnp
    return numpy.rot90(x, times, axes=(x.ndim - 3, x.ndim - 2))


def flip(x: jax.Array, axis: int) -> jax.Array:
    """Reflect a spatial axis of x `[*leading, height, width, channels]`: -2 left-right, -3 up-down.

    A NumPy array stays one.

    Raises:
      ValueError: an axis that is not spatial.
    """
    if axis not in (-2, -3) or x.ndim < -axis:
        raise ValueError(
            f"`axis` must be -2 (left-right) or -3 (up-down), got {axis!r} of shape {x.shape}."
        )
    numpy: Any = np if isinstance(x, np.ndarray) else jnp
    return numpy.flip(x, axis)


def affine(
    x: jax.Array,
    matrix: jax.Array,
    fill: float = 0.0,
    *,
    offset: Vector = (0.0, 0.0),
    interpolation: Interpolation = "bilinear",
) -> jax.Array:
    """Apply a linear map of the plane about the centre of an image, then a translation.

        (g x)[c + p] = x[c + matrix^-1 (p - offset)],    c = (size - 1) / 2

    Args:
      x: `[*leading, height, width, channels]`.
      matrix: `[2, 2]`, acts on (down, right) coordinates; may be traced.
      fill: value outside the image.
      offset: in pixels down and right.
      interpolation: 'bilinear' or 'bicubic'.

    Raises:
      ValueError: another interpolation, or x without two spatial axes.
    """
    if x.ndim < 3:
        raise ValueError(f"`x` must be [*leading, height, width, channels], got shape {x.shape}.")
    if interpolation == "fourier":
        raise ValueError("`interpolation` must be 'bilinear' or 'bicubic' here, got 'fourier'.")
    matrix = jnp.asarray(matrix, jnp.result_type(float))
    sources = affine_sources(x.shape[-3:-1], matrix, offset)
    return interpolate(x, sources, interpolation=interpolation, fill=fill)


def translate(
    x: jax.Array, distances: Vector, fill: float = 0.0, *, interpolation: Interpolation = "bilinear"
) -> jax.Array:
    """Translate by any distances down and right, in pixels; whole ones as `shift` with a fill.

    `fourier_shift` translates a periodic image without loss.
    """
    return affine(x, jnp.eye(2), fill, offset=distances, interpolation=interpolation)


def rotate(
    x: jax.Array, angle: Amount, fill: float = 0.0, *, interpolation: Interpolation = "bilinear"
) -> jax.Array:
    """Rotate about the centre by any angle, in radians, counter-clockwise.

    Rotations of square images by multiples of 90 degrees are those of `rotate90`, up to rounding.
    'fourier' is the nearest of these followed by three shears, for square images, periodic: pixels
    that leave the image enter on the other side, and `fill` is not used.
    Source: Unser, Thevenaz, Yaroslavsky, Convolution-based interpolation for fast, high-quality
    rotation of images, 1995; Larkin, Oldfield, Klemm, Fast Fourier method for the accurate rotation
    of sampled images, 1997.

    Raises:
      ValueError: 'fourier' for an image that is not square.
    """
    if interpolation == "fourier":
        return _rotate_by_shears(x, jnp.asarray(angle, jnp.result_type(float)))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    matrix = jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])
    return affine(x, matrix, fill, interpolation=interpolation)


def scale(
    x: jax.Array, factor: Amount, fill: float = 0.0, *, interpolation: Interpolation = "bilinear"
) -> jax.Array:
    """Scale about the centre by `factor`: above 1 enlarges."""
    matrix = jnp.asarray(factor, jnp.result_type(float)) * jnp.eye(2)
    return affine(x, matrix, fill, interpolation=interpolation)


def shear(
    x: jax.Array,
    amount: Amount,
    fill: float = 0.0,
    *,
    axis: int = -2,
    interpolation: Interpolation = "bilinear",
) -> jax.Array:
    """Shear: move each line along an axis by `amount` times its distance from the centre.

    Args:
      x: `[*leading, height, width, channels]`.
      amount: tangent of the angle.
      fill: value outside; not used by 'fourier', which is periodic.
      axis: -2, rows move right the further down they are; -3, columns move down the further right.
      interpolation: 'bilinear', 'bicubic' or 'fourier'.

    Raises:
      ValueError: another axis.
    """
    if axis not in (-2, -3):
        raise ValueError(f"`axis` must be -2 (rows move) or -3 (columns move), got {axis!r}.")
    amount = jnp.asarray(amount, jnp.result_type(float))
    if interpolation == "fourier":
        return _fourier_shear(x, amount, axis)
    entry = (1, 0) if axis == -2 else (0, 1)
    matrix = jnp.eye(2).at[entry].set(amount)
    return affine(x, matrix, fill, interpolation=interpolation)


def _per_axis(x: jax.Array, shifts) -> tuple[list, tuple[int, ...]]:
    shifts = list(shifts)
    if not 1 <= len(shifts) <= x.ndim - 1:
        raise ValueError(
            f"`shifts` must be one for each spatial axis of x [*leading, *space, channels], got "
            f"{len(shifts)} for shape {x.shape}."
        )
    return shifts, tuple(range(x.ndim - 1 - len(shifts), x.ndim - 1))


def _phases(size: int, distance: Amount) -> jax.Array:
    """Factors of a spectrum `[size]` that shift by a distance; one a line `[lines, 1]`, of each."""
    turns = np.expand_dims(-2j * np.pi * np.fft.fftfreq(size), tuple(range(np.ndim(distance) - 1)))
    phases = jnp.exp(turns * distance)
    if size % 2 == 0:
        # The real part at the Nyquist frequency keeps images real.
        phases = phases.at[..., size // 2].set(phases[..., size // 2].real)
    return phases


def _on_axis(values: jax.Array, axis: int, ndim: int) -> jax.Array:
    return values.reshape(*(1,) * axis, -1, *(1,) * (ndim - axis - 1))


def _fourier_shear(x: jax.Array, amount: jax.Array, axis: int) -> jax.Array:
    along, across = (-2, -3) if axis == -2 else (-3, -2)
    size, lines = x.shape[along], x.shape[across]
    distance = amount * (jnp.arange(lines) - (lines - 1) / 2)
    phase = _phases(size, distance[:, None])
    phase = phase if axis == -2 else phase.T
    spectrum = jnp.fft.fft(x, axis=along) * jnp.expand_dims(phase[..., None], range(x.ndim - 3))
    return jnp.fft.ifft(spectrum, axis=along).real.astype(x.dtype)


def _rotate_by_shears(x: jax.Array, angle: jax.Array) -> jax.Array:
    if x.shape[-3] != x.shape[-2]:
        raise ValueError(f"`x` must be square for fourier rotation, got shape {x.shape}.")
    # Half-way always up: round() goes to the even one.
    quarters = jnp.floor(jax.lax.stop_gradient(angle) / (np.pi / 2) + 0.5)
    rotated = jnp.stack([rotate90(x, times) for times in range(4)])
    x = rotated[quarters.astype(int) % 4]
    rest = angle - quarters * (np.pi / 2)
    # (down, right) rotates counter-clockwise by [[cos, -sin], [sin, cos]].
    half, whole = jnp.tan(rest / 2), -jnp.sin(rest)
    return _fourier_shear(_fourier_shear(_fourier_shear(x, half, -2), whole, -3), half, -2)
