"""The far end of the family: every output connected to every input, with no locality at all."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from cnnjax.layers.conv import ConvolutionLayer, add_bias
from cnnjax.layers.initializers import as_matrix


class FullyConnected(ConvolutionLayer):
    """Dense layer between volumes: the output has the shape that a convolution would give it.

        z[p, o] = bias[p, o] + sum over q, c of x[q, c] kernel[q, c, p, o]

    `kernel_size`, `strides` and `padding` only set the size of the output.
    Parameters: kernel `[*space, in, *out_space, features]`, bias `[*out_space, features]`.
    Symmetry: none.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.14 (bottom).
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        window = self.window(x)
        if window.feature_group_count != 1:
            raise ValueError(
                f"FullyConnected has no groups, got feature_group_count {self.feature_group_count}."
            )
        read = (*window.space, x.shape[-1])
        shape = (*read, *window.out_space, self.features)
        initializer = as_matrix(self.kernel_init, len(read))
        kernel = self.param("kernel", initializer, shape, self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(*window.out_space), dtype=self.dtype)
        z = jnp.tensordot(x, kernel, axes=len(read), precision=self.precision)
        return add_bias(z, bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Only the zero shift."""
        return tuple(space)
