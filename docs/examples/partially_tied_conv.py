"""A partially tied convolution: neighbouring positions share a kernel, distant ones do not.

    python launch.py check docs.examples.partially_tied_conv:PartiallyTiedConv
    python launch.py card --conv docs.examples.partially_tied_conv:PartiallyTiedConv

The sharing rule is rule(p) = p // region, where a tiled convolution has p mod tile.
Source: Huang, Lee, Learned-Miller, Learning hierarchical representations for face verification
with convolutional deep belief networks, 2012 (weights shared within regions).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from cnnjax import ops
from cnnjax.layers import ConvolutionLayer, add_bias, per_kernel


class PartiallyTiedConv(ConvolutionLayer):
    """Local convolution whose kernels are shared within regions of `region` output positions.

    Parameters: kernel `[*regions, *window, in/groups, features]`, bias `[*regions, features]`.
    Symmetry: on an axis that is one region, that of `Conv`; else only the zero shift.
    """

    region: int = 4
    is_linear = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        if self.region < 1:
            raise ValueError(f"region must be at least 1, got {self.region!r}.")
        out_space = self.window(x).out_space
        regions = tuple(-(-size // self.region) for size in out_space)
        one = per_kernel(self.kernel_init, regions)
        kernel = self.param("kernel", one, (*regions, *self.kernel_shape(x)), self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(*regions), dtype=self.dtype)
        for axis, size in enumerate(out_space):  # the kernel of region p // region at each p
            at = jnp.arange(size) // self.region
            kernel = jnp.take(kernel, at, axis)
            bias = None if bias is None else jnp.take(bias, at, axis)
        return add_bias(ops.local_conv(x, kernel, **self.conv_options(x)), bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """That of a standard convolution on axes of one region, elsewhere only the zero shift."""
        out_space = self.window(jnp.zeros((1, *space, self.feature_group_count))).out_space
        each = zip(space, out_space, strict=True)
        return self.lattice_of_tile(space, [1 if out <= self.region else n for n, out in each])
