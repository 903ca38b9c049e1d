"""Random affine maps of images, whose widths are learned."""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnnjax.ops.affine_algebra import affine_exponential
from cnnjax.ops.interpolation import Interpolation, affine_sources, interpolate


class RandomAffine(nn.Module):
    """Each image moved by an affine map of its own, uniform in a box of learned widths.

        g = exp(sum over i of offsets[i] softplus(widths[i]) / 2 generators[i]),  offsets in [-1, 1]

    A width is the whole length of an edge of the box: generator i reaches softplus(widths[i]) / 2
    to either side, its half-width. Half-widths are in radians of rotation, natural logarithms of
    scaling and stretching, and half heights of the image for translations.
    The gradient reaches the widths through the interpolated pixels (reparametrisation).
    Source: Benton, Finzi, Izmailov, Wilson, Learning invariances in neural networks from training
    data, 2020, section 3.2, and `uniform_aug.py` of their code, from which the widths' meaning is.
    """

    generators: Sequence[str] = ("rotation",)
    """Names of generators, see `ops.GENERATORS`."""
    half_width: float = math.radians(5)
    """Half-width of each generator before training."""
    interpolation: Interpolation = "bicubic"
    """How pixels are read, see `ops.interpolate`; outside of the image is zero."""

    def setup(self) -> None:
        start = raw_width(self.half_width)
        self.widths = self.param(
            "widths", lambda key: jnp.full((len(self.generators),), start, jnp.float32)
        )

    def __call__(self, x: jax.Array, offsets: jax.Array) -> jax.Array:
        """Move images `[batch, height, width, channels]`, each by its own map.

        Args:
          x: floating images.
          offsets: `[batch, generators]`, from -1 to 1.
        """
        amounts = offsets * self.half_widths()[None]
        matrices, moves = affine_exponential(amounts, self.generators)
        lengths = np.array(x.shape[1:3], np.float32) / 2

        def moved(image: jax.Array, matrix: jax.Array, move: jax.Array) -> jax.Array:
            sources = affine_sources(image.shape[:2], matrix, move * lengths)
            return interpolate(image, sources, interpolation=self.interpolation)

        return jax.vmap(moved)(x, matrices, moves)

    def half_widths(self) -> jax.Array:
        """Half-width of each generator, `[generators]`."""
        return nn.softplus(self.widths) / 2


def raw_width(half_width: float) -> float:
    """Parameter of a half-width: softplus(raw_width(h)) / 2 = h.

    Raises:
      ValueError: a half-width that is not above 0.
    """
    if not 0 < half_width < math.inf:
        raise ValueError(f"`half_width` must be above 0 and finite, got {half_width!r}.")
    width = 2 * half_width
    return width + math.log(-math.expm1(-width))


def half_widths(params: Mapping) -> jax.Array:
    """Half-widths `[generators]` of the parameters of a `RandomAffine`."""
    return nn.softplus(jnp.asarray(params["widths"])) / 2
