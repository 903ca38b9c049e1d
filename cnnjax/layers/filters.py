"""Fixed filters in networks: as layers that do not learn, and as where learning begins."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnnjax import ops
from cnnjax.layers.conv import Initializer
from cnnjax.ops import geometry


class FixedFilter(nn.Module):
    """Every channel convolved by itself with known kernels, which are no parameters: frozen.

    Symmetry under circular padding: every shift.
    """

    kernel: np.ndarray
    """`[height, width]`, or `[height, width, count]`, such as `ops.gabor_bank()`."""
    padding: geometry.Padding = "SAME"
    """As for convolutions."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, height, width, channels]` to `channels * count` channels."""
        return ops.filter_channels(x, self.kernel, padding=self.padding)


def filter_init(kernel: np.ndarray) -> Initializer:
    """Initialiser of `[*window, in, out]` that begins every output channel as a known kernel.

    Output channel o begins as kernel `o mod count` on the mean of the input channels. The kernel is
    `[*window]`, or a bank `[*window, count]`, such as `ops.gabor_bank()`. The initialiser raises
    ValueError for another window.
    """

    def initialize(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
        del key
        *window, channels, features = shape
        bank = kernel if kernel.ndim == len(window) + 1 else kernel[..., None]
        if list(bank.shape[:-1]) != window:
            raise ValueError(
                f"filter_init: a kernel of shape {kernel.shape} cannot begin one of shape "
                f"{tuple(shape)}; its window must be {bank.shape[:-1]}."
            )
        chosen = bank[..., np.arange(features) % bank.shape[-1]]
        return jnp.asarray(np.repeat(chosen[..., None, :] / channels, channels, axis=-2), dtype)

    return initialize
