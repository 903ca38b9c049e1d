"""CoordConv: a convolution that is also told where it is.

    python launch.py check docs.examples.coord_conv:CoordConv
    python launch.py card --conv docs.examples.coord_conv:CoordConv

Source: Liu et al., An intriguing failing of convolutional neural networks and the CoordConv
solution, 2018, section 3.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from cnnjax.layers import Conv


class CoordConv(Conv):
    """`Conv` over x and one more channel an axis, the position, scaled to mean 0 and variance 1.

        z = conv([x, position]),    position_i = (i - mean) / std

    Symmetry: only the zero shift, whatever the padding: its kernel is shared, its bias is not.
    """

    is_linear = True

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        space = self.window(x).space
        positions = []
        for axis, size in enumerate(space):
            place = jnp.arange(size) - (size - 1) / 2
            place /= (max(size**2 - 1, 1) / 12) ** 0.5  # of one position: 0
            place = jnp.expand_dims(place, [*range(axis), *range(axis + 1, len(space) + 1)])
            positions.append(jnp.broadcast_to(place, (*x.shape[:-1], 1)).astype(x.dtype))
        return super().__call__(jnp.concatenate([x, *positions], -1))

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Only the zero shift."""
        return tuple(space)
