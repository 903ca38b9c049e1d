"""Involution: each position makes its own kernel from what it sees, and all channels share it.

    python launch.py check docs.examples.involution:Involution
    python launch.py card --conv docs.examples.involution:Involution

Source: Li et al., Involution: inverting the inherence of convolution for visual recognition, 2021,
equations 4 to 6.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers import ConvolutionLayer
from cnnjax.ops.window import flatten_leading, window_slices, with_border, written_out


class Involution(ConvolutionLayer):
    """A convolution turned inside out: kernels differ by position and are shared by channels.

        z[p, c, g] = sum over a of kernel(x[p])[a, g] x[p + a, c]
        kernel(v)  = span relu(reduce v)

    with `features / in` kernels g. It is equivariant but not linear: the kernel depends on x.
    Symmetry under circular padding: every shift by `strides`.
    """

    reduced: int = 8
    """Features from which the kernel is made."""
    is_linear = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        window, channels = self.window(x), x.shape[-1]
        if self.features % channels:
            raise ValueError(f"features must be a multiple of {channels}, got {self.features!r}.")
        x, leading = flatten_leading(x, len(window.space))
        padded = written_out(*with_border(x, window))
        slices = jnp.stack(list(window_slices(*padded)), -1)  # [batch, *out, in, taps]
        taps, groups = math.prod(window.kernel_size), self.features // channels
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        # relu halves the second moment; a kernel of variance 1 / taps keeps that of x.
        scale = nn.initializers.variance_scaling(2 / taps, "fan_in", "normal")
        reduced = nn.Dense(self.reduced, name="reduce", **types)(slices[..., taps // 2])
        kernel = nn.Dense(taps * groups, kernel_init=scale, name="span", **types)(nn.relu(reduced))
        kernel = kernel.reshape(*kernel.shape[:-1], taps, groups)
        z = (slices @ kernel).reshape(*leading, *window.out_space, self.features)
        return z.astype(kernel.dtype)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Every shift by `strides`, under circular padding."""
        return self.lattice_of_tile(space, 1)
