"""Convolutions with a bank of kernels, tiled, locally connected, low-rank local; dense layers."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from cnnjax import ops
from cnnjax.layers.conv import ConvolutionLayer, Sizes, add_bias, as_matrix, per_kernel
from cnnjax.ops.window import per_axis


class TiledConv(ConvolutionLayer):
    """Tiled convolution: kernels take turns, output position p uses kernel `p mod tile`.

    Parameters: kernel `[*tile, *window, in/groups, features]`, bias `[*tile, features]`.
    Symmetry under circular padding: shifts by `strides * tile`, where that divides the axis.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.10.
    """

    tile: Sizes = 2
    """Output positions after which the kernels repeat, for all axes or one an axis."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        window = self.window(x)
        tile = per_axis("tile", self.tile, len(window.space))
        initializer = per_kernel(self.kernel_init, tile)
        shape = (*tile, *self.kernel_shape(x))
        kernel = self.param("kernel", initializer, shape, self.param_dtype)
        bias = self.bias(*tile)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        z = ops.tiled_conv(x, kernel, **self.conv_options(x))
        if bias is not None:
            turns = [-(-size // step) for size, step in zip(window.out_space, tile, strict=True)]
            bias = jnp.tile(bias, (*turns, 1))
            bias = bias[tuple(slice(size) for size in window.out_space)]
        return add_bias(z, bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Shifts by `strides * tile`, under circular padding."""
        return self.lattice_of_tile(space, self.tile)


class LocalConv(ConvolutionLayer):
    """Locally connected layer: every output position has a kernel of its own.

    Parameters: kernel `[*out_space, *window, in/groups, features]`, bias `[*out_space, features]`.
    Unlike `flax.linen.ConvLocal`, kernels start with the fan-in of one window.
    Symmetry: none.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.9.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        out_space = self.window(x).out_space
        initializer = per_kernel(self.kernel_init, out_space)
        shape = (*out_space, *self.kernel_shape(x))
        kernel = self.param("kernel", initializer, shape, self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, self.bias(*out_space), dtype=self.dtype)
        return add_bias(ops.local_conv(x, kernel, **self.conv_options(x)), bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Only the zero shift."""
        return tuple(space)


class LowRankLocalConv(ConvolutionLayer):
    """Locally connected layer whose kernels are mixtures of `rank` shared ones.

        z[p] = sum over r of w[p, r] (bias[r] + (x * kernel[r])[p]),    w[p] = softmax of logits[p]
        logits[p, r] = mixing_0[p_0, r] + mixing_1[p_1, r] + ...        one term a spatial axis

    Parameters: kernel `[rank, *window, in/groups, features]`, bias `[rank, features]`, and for each
    spatial axis a mixing `[out_size, rank]`. The kernels start larger than one alone, by
    1/sqrt(mean over p of sum over r of w[p, r]^2), so that the output's variance is as everywhere.
    Symmetry: none in general.
    Source: Elsayed, Ramachandran, Shlens, Kornblith, Revisiting spatial invariance with low-rank
    local connectivity, 2020, section 3.
    """

    rank: int = 2
    """Number of kernels that are mixed."""
    mixing_std: float = 1.0
    """Standard deviation of each axis' term of the logits at the start; 0: the layer starts as a
    standard convolution, as published."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[*leading, *space, in]` to `[*leading, *out_space, features]`."""
        out_space = self.window(x).out_space
        (rank,) = per_axis("rank", self.rank, 1)
        axes = len(out_space)
        mixing_init = nn.initializers.normal(self.mixing_std)
        terms = []
        for axis, size in enumerate(out_space):
            term = self.param(f"mixing_{axis}", mixing_init, (size, rank), self.param_dtype)
            terms.append(jnp.expand_dims(term, [other for other in range(axes) if other != axis]))
        weights = jax.nn.softmax(functools.reduce(jnp.add, terms))
        one = per_kernel(self.kernel_init, (rank,))

        def initializer(key, shape, dtype):
            kept = (weights**2).sum(-1).mean()
            return (one(key, shape, dtype) / jnp.sqrt(kept)).astype(dtype)

        shape = (rank, *self.kernel_shape(x))
        kernels = self.param("kernel", initializer, shape, self.param_dtype)
        bias = self.bias(rank)
        x, kernels, weights, bias = promote_dtype(x, kernels, weights, bias, dtype=self.dtype)
        z = ops.low_rank_local_conv(x, kernels, weights, **self.conv_options(x))
        return add_bias(z, None if bias is None else weights @ bias)

    def predicted_lattice(self, space: Sequence[int]) -> tuple[int, ...]:
        """Only the zero shift."""
        return tuple(space)


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
        self.refuse("feature_group_count")
        window = self.window(x)
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
