"""Resampling by ideal low-pass filters, and an activation that commutes with every translation.

Images are taken for periodic, and for samples of a band-limited function: frequencies strictly
below the Nyquist frequency of each axis, |k| < size / 2. What stands at the Nyquist frequency
itself, whose phase the samples do not tell, is removed.
"""

import jax
import jax.numpy as jnp

from cnnjax.ops.blur_pooling import per_spatial_axis
from cnnjax.ops.convolution import Sizes
from cnnjax.ops.window import as_floating


def ideal_resample(x: jax.Array, out_space: Sizes) -> jax.Array:
    """Sample the band-limited function behind x on another grid, after an ideal low-pass filter.

    Keeps the frequencies |k| < min(size, out_size) / 2 of each axis, with their amplitudes:
    interpolation where the grid becomes finer, anti-aliased downsampling where it becomes coarser,
    a low-pass filter where it stays. Returns `[*leading, *out_space, channels]`, of x's type.
    Symmetry: every translation of the periodic function, whole or fractional, exactly; shifts by a
    fraction of x's pixels move the output by that fraction of the image.
    Source: Michaeli, Michaeli, Soudry, Alias-free convnets: fractional shift invariance via
    polynomial activations, 2023, section 3.

    Args:
      x: `[*leading, *space, channels]`, real; computed in float32 or wider.
      out_space: sizes of the result's spatial axes: one int for all axes but the first and last, or
        one a spatial axis.

    Raises:
      ValueError: sizes that do not fit x.
    """
    sizes = per_spatial_axis("ideal_resample", x, out_space, "out_space")
    x = as_floating(x)
    dtype = x.dtype
    x = x.astype(jnp.promote_types(dtype, jnp.float32))
    # One axis after the other: a real transform of each suffices, the filters are products.
    for axis, size in enumerate(sizes, start=x.ndim - len(sizes) - 1):
        before = x.shape[axis]
        kept = (min(before, size) + 1) // 2
        spectrum = jax.lax.slice_in_dim(jnp.fft.rfft(x, axis=axis), 0, kept, axis=axis)
        x = jnp.fft.irfft(spectrum * (size / before), n=size, axis=axis)
    return x.astype(dtype)


def polynomial_activation(x: jax.Array, coefficients: jax.Array, *, axes: int = 2) -> jax.Array:
    """A polynomial of the band-limited function behind x, filtered back to x's band.

        z = low pass of sum over d of coefficients[d] x^d

    A polynomial of degree D widens the band D times, no more, so that a grid of ceil((D + 1) / 2)
    times the points keeps all of it that matters from folding; for degree 2 or 3 twice the points.
    Symmetry: every translation, whole or fractional, exactly.
    Source: Michaeli, Michaeli, Soudry, Alias-free convnets: fractional shift invariance via
    polynomial activations, 2023, section 3.2.

    Args:
      x: `[*leading, *space, channels]`.
      coefficients: `[degree + 1]`, or `[degree + 1, channels]` for each channel its own.
      axes: number of spatial axes.

    Raises:
      ValueError: coefficients or axes that do not fit x.
    """
    if coefficients.ndim not in (1, 2) or coefficients.shape[1:] not in ((), (x.shape[-1],)):
        raise ValueError(
            f"coefficients must be [degree + 1] or [degree + 1, {x.shape[-1]}], got shape "
            f"{coefficients.shape}."
        )
    if not 1 <= axes <= min(3, x.ndim - 1):
        raise ValueError(f"axes must be 1 to 3 and fit x of shape {x.shape}, got {axes!r}.")
    x, space = as_floating(x), x.shape[-axes - 1 : -1]
    factor = -(-len(coefficients) // 2)
    fine = ideal_resample(x, tuple(factor * size for size in space))
    rows = coefficients.reshape(len(coefficients), *(1,) * (x.ndim - 1), -1).astype(x.dtype)
    total = rows[-1]
    for row in rows[-2::-1]:  # Horner's rule
        total = total * fine + row
    return ideal_resample(jnp.broadcast_to(total, fine.shape), space)
