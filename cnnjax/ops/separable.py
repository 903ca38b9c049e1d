"""Separable kernels: a window that is the outer product of one vector an axis."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, conv
from cnnjax.ops.window import as_floating, padding_per_axis, per_axis


def separable_conv(
    x: jax.Array,
    factors: Sequence[np.ndarray | jax.Array],
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
) -> jax.Array:
    """Convolve every channel by itself with the outer product of `factors`, an axis at a time.

        z[p, c] = sum over a of x[p strides + a - low, c] factors[0][a_0] factors[1][a_1] ...

    It costs the sum of the factors' lengths an output, where the whole window costs their product.
    Returns `[*leading, *out_space, channels]`.
    Symmetry: that of `conv`.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.8.

    Args:
      x: `[*leading, *space, channels]`, as many spatial axes as there are factors, 1 to 3.
      factors: one vector a spatial axis.
      strides, padding: as for `conv`.

    Raises:
      ValueError: factors that are not vectors, or arguments that `conv` refuses.
    """
    x = as_floating(x)
    axes, channels = len(factors), x.shape[-1]
    if not 1 <= axes <= 3 or any(factor.ndim != 1 for factor in factors):
        raise ValueError(
            f"separable_conv takes 1 to 3 factors, each a vector, got shapes "
            f"{[factor.shape for factor in factors]}."
        )
    steps, sides = per_axis("strides", strides, axes), padding_per_axis(padding, axes)
    for axis, (factor, step, side) in enumerate(zip(factors, steps, sides, strict=True)):
        before, after = (1,) * axis, (1,) * (axes - axis - 1)
        taps = jnp.asarray(factor, x.dtype).reshape(*before, -1, *after, 1, 1)
        x = conv(
            x,
            jnp.tile(taps, channels),
            strides=(*before, step, *after),
            padding=side if isinstance(side, str) else ((0,) * axis + (side,) + (0,) * len(after)),
            feature_group_count=channels,
        )
    return x


def separable_factors(kernel: np.ndarray | jax.Array) -> tuple[jax.Array, jax.Array]:
    """The two vectors whose outer product is nearest to a kernel `[height, width]`.

    Nearest in the sum of squares, by the largest singular value (Eckart & Young, 1936); both
    vectors have the same length, and the first one's largest entry is positive. Returns the factors
    of the rows `[height]` and of the columns `[width]`.

    Raises:
      ValueError: a kernel that is not a matrix.
    """
    if kernel.ndim != 2:
        raise ValueError(f"separable_factors takes a kernel [height, width], got {kernel.shape}.")
    left, values, right = jnp.linalg.svd(jnp.asarray(kernel), full_matrices=False)
    rows, columns = left[:, 0] * jnp.sqrt(values[0]), right[0] * jnp.sqrt(values[0])
    sign = jnp.where(rows[jnp.argmax(jnp.abs(rows))] < 0, -1, 1).astype(rows.dtype)
    return rows * sign, columns * sign


def is_separable(kernel: np.ndarray | jax.Array, tolerance: float = 1e-6) -> bool:
    """Whether a kernel `[height, width]` is an outer product: its second singular value is at most
    `tolerance` times its first. Not under jit.

    Raises:
      ValueError: a kernel that is not a matrix.
    """
    if kernel.ndim != 2:
        raise ValueError(f"is_separable takes a kernel [height, width], got {kernel.shape}.")
    values = np.linalg.svd(np.asarray(kernel, np.float64), compute_uv=False)
    return bool(values[1:].max(initial=0.0) <= tolerance * values[0])
