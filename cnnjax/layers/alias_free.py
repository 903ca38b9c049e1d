"""Layers that commute with translations by fractions of a pixel."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers.conv import EveryShift, Sizes
from cnnjax.ops.alias_free import ideal_resample, polynomial_activation
from cnnjax.ops.blur_pooling import per_spatial_axis

GELU_QUADRATIC = (0.125 / math.sqrt(math.pi), 0.5, 0.375 / math.sqrt(math.pi))
"""The quadratic nearest to GELU in mean square over standard normal inputs, constant term first.

With the Hermite polynomials 1, x, x^2 - 1 the coefficients are E[GELU] = 1 / (2 sqrt(pi)),
E[GELU'] = 1/2 and E[GELU''] / 2 = 3 / (8 sqrt(pi)).
"""


class PolynomialActivation(EveryShift):
    """A learned polynomial of each channel, evaluated without aliasing.

        z = low pass of sum over d of coefficients[d] x^d

    Parameters: coefficients `[degree + 1, channels]`.
    Symmetry: every translation of the periodic, band-limited image, by fractions of a pixel too.
    Source: Michaeli, Michaeli, Soudry, Alias-free convnets: fractional shift invariance via
    polynomial activations, 2023, section 3.2.
    """

    initial: Sequence[float] = GELU_QUADRATIC
    """Coefficients at the start, the same for all channels, constant term first."""
    axes: int = 2
    """Number of spatial axes of x."""
    param_dtype: jnp.dtype = jnp.float32
    """Type of the coefficients."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, channels]` to the same shape."""

        def initializer(key, shape, dtype):
            del key
            return jnp.broadcast_to(jnp.asarray(self.initial, dtype)[:, None], shape)

        shape = len(self.initial), x.shape[-1]
        coefficients = self.param("coefficients", initializer, shape, self.param_dtype)
        return polynomial_activation(x, coefficients, axes=self.axes)


class IdealDownsample(EveryShift):
    """Remove what a coarser grid cannot carry, exactly, then keep every `strides`-th position.

    Symmetry: every translation of the periodic, band-limited image: the output moves by the same
    fraction of its size, between positions as band-limited interpolation does.
    Source: Michaeli, Michaeli, Soudry, Alias-free convnets: fractional shift invariance via
    polynomial activations, 2023, section 3.
    """

    strides: Sizes = 2
    """Input positions from one output position to the next; they must divide the sizes of x."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, channels]` to `[*leading, *space / strides, channels]`."""
        steps = per_spatial_axis("IdealDownsample", x, self.strides)
        space = x.shape[-len(steps) - 1 : -1]
        if any(size % step for size, step in zip(space, steps, strict=True)):
            raise ValueError(f"strides {steps} must divide the sizes of x, got shape {x.shape}.")
        out_space = tuple(size // step for size, step in zip(space, steps, strict=True))
        return ideal_resample(x, out_space)
