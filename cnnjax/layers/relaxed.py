"""Group convolutions that start equivariant and may give it up in training."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers.conv import per_kernel
from cnnjax.layers.group_conv import GroupConv, LiftingConv
from cnnjax.ops import geometry
from cnnjax.ops.group_convolution import group_kernels, lifting_kernels


class RelaxedLiftingConv(LiftingConv):
    """`LiftingConv` whose every copy of the kernel is a mixture of its own of a bank's copies.

        z[p, g, o] = bias[o] + sum over l, a, c of
                     relaxation[l, g] x[p strides + a, c] kernel[l, g^-1 a, c, o]

    Parameters: kernel `[banks, side, side, in, features]`, relaxation `[banks, group]`, and bias
    `[features]`, shared by the group. All weights of the mixtures start as 1 / sqrt(banks), so that
    the output starts with the variance of `LiftingConv`.
    Symmetry: rotations (and reflections) as for `LiftingConv` where relaxation is the same for all
    elements g, as at the start; else none. Circular shifts as for `Conv`.
    Source: Wang, Walters, Yu, Approximately equivariant networks for imperfectly symmetric
    dynamics, 2022 (relaxed group convolution; here, as in the authors' tutorial, a
    weight belongs to an element of the output).
    """

    banks: int = 1
    """Kernels that are mixed."""

    def kernels(self, x: jax.Array) -> jax.Array:
        """The kernel of each element of the group, `[side, side, in, group, features]`."""
        shape = self.kernel_shape(x)
        kernel, relaxation = bank_of(self, shape, self.group)
        copies = jax.vmap(lambda each: lifting_kernels(each, group=self.group))(kernel)
        return jnp.einsum("lg,lyxcgo->yxcgo", relaxation, copies)


class RelaxedGroupConv(GroupConv):
    """`GroupConv` whose every copy of the kernel is a mixture of its own of a bank's copies.

        z[p, g, o] = bias[o] + sum over l, a, h, c of
                     relaxation[l, g] x[p strides + a, h, c] kernel[l, g^-1 a, g^-1 h, c, o]

    Parameters: kernel `[banks, side, side, group, in, features]`, relaxation `[banks, group]`, and
    bias `[features]`; their start is that of `RelaxedLiftingConv`.
    Symmetry: rotations (and reflections) as for `GroupConv` where relaxation is the same for all
    elements g, as at the start; else none. Circular shifts as for `Conv`.
    Source: as `RelaxedLiftingConv`.
    """

    banks: int = 1
    """Kernels that are mixed."""

    def kernels(self, x: jax.Array) -> jax.Array:
        """The kernel of each element of the group, `[side, side, group, in, group, features]`."""
        kernel, relaxation = bank_of(self, self.regular_kernel_shape(x), x.shape[-2])
        return jnp.einsum("lg,lyxhcgo->yxhcgo", relaxation, jax.vmap(group_kernels)(kernel))


class ResidualLiftingConv(LiftingConv):
    """`LiftingConv` plus an unconstrained convolution, which is zero at the start.

        z[p, g, o] = LiftingConv(x)[p, g, o] + sum over a, c of x[p strides + a, c] free[a, c, g, o]

    Parameters: those of `LiftingConv`, and free `[side, side, in, group, features]`, zero at the
    start. In training, `prior * sum of squares of free` is sown into the collection 'losses'.
    Symmetry: as `LiftingConv` where free is zero, as at the start; else shifts only.
    Source: Finzi, Benton, Wilson, Residual pathway priors for soft equivariance constraints, 2021
    (there both pathways start at random).
    """

    prior: float = 1e-3
    """Strength of the prior on the free kernel: a half of its inverse variance, by the number of
    training images."""

    def kernels(self, x: jax.Array) -> jax.Array:
        """The kernel of each element of the group, `[side, side, in, group, features]`."""
        return with_residual(self, super().kernels(x), self.prior)


class ResidualGroupConv(GroupConv):
    """`GroupConv` plus an unconstrained convolution, which is zero at the start.

        z[p, g, o] = GroupConv(x)[p, g, o]
                     + sum over a, h, c of x[p strides + a, h, c] free[a, h, c, g, o]

    Parameters: those of `GroupConv`, and free `[side, side, group, in, group, features]`, zero at
    the start. In training, `prior * sum of squares of free` is sown into the collection 'losses'.
    Symmetry: as `GroupConv` where free is zero, as at the start; else shifts only.
    Source: as `ResidualLiftingConv`.
    """

    prior: float = 1e-3
    """Strength of the prior on the free kernel, as of `ResidualLiftingConv`."""

    def kernels(self, x: jax.Array) -> jax.Array:
        """The kernel of each element of the group, `[side, side, group, in, group, features]`."""
        return with_residual(self, super().kernels(x), self.prior)


def bank_of(
    layer: RelaxedLiftingConv | RelaxedGroupConv, shape: tuple[int, ...], group: int
) -> tuple[jax.Array, jax.Array]:
    """The parameters of a relaxed layer: its bank of kernels `[banks, *shape]`, and the weights
    `[banks, group]` of its mixtures.

    Raises:
      ValueError: banks below 1.
    """
    geometry.positive("banks", layer.banks)
    bank = (layer.banks,)
    initializer = per_kernel(layer.kernel_init, bank)
    kernel = layer.param("kernel", initializer, (*bank, *shape), layer.param_dtype)
    equal = nn.initializers.constant(layer.banks**-0.5)
    return kernel, layer.param("relaxation", equal, (*bank, group), layer.param_dtype)


def with_residual(layer: nn.Module, kernels: jax.Array, prior: float) -> jax.Array:
    """The kernels plus a free parameter of their shape, whose prior is sown into 'losses'.

    Raises:
      ValueError: a prior that is negative.
    """
    if not prior >= 0:
        raise ValueError(f"prior must be at least 0, got {prior!r}.")
    free = layer.param("free", nn.initializers.zeros_init(), kernels.shape, kernels.dtype)
    layer.sow("losses", "prior", prior * jnp.sum(free**2))
    return kernels + free
