"""Local response normalisation as a module without parameters."""

import jax
from flax import linen as nn

from cnnjax import ops


class LocalResponseNorm(nn.Module):
    """Each response divided by those of the neighbouring channels at its position.

        z[c] = x[c] / (bias + alpha * sum over |c' - c| <= radius of x[c']^2)^beta

    The defaults are those of AlexNet.
    Symmetry: commutes with every rearrangement of positions.
    Source: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural
    networks, 2012, section 3.3.
    """

    radius: int = 2
    """Neighbours on either side."""
    bias: float = 2.0
    """Above 0."""
    alpha: float = 1e-4
    """Strength."""
    beta: float = 0.75
    """Exponent."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `[..., channels]`."""
        return ops.local_response_normalization(
            x, radius=self.radius, bias=self.bias, alpha=self.alpha, beta=self.beta
        )
