"""Fixed filters: kernels known by name, what they make of an image, and separable kernels.

Kernels are `[height, width]`, float32, of cross-correlation, as everywhere here: the convolution of
mathematics would flip the Sobel and Gabor filters.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, conv
from cnnjax.ops.window import as_floating, padding_per_axis, per_axis


def box_kernel(size: int) -> np.ndarray:
    """Mean of a square: 1 / size^2 everywhere, `[size, size]`."""
    size = geometry.positive("size", size)
    return np.full((size, size), 1 / size**2, np.float32)


def gaussian_kernel(size: int, sigma: float = 1.0, *, normalize: bool = False) -> np.ndarray:
    """Gaussian bell: exp(-(i^2 + j^2) / (2 sigma^2)) / (2 pi sigma^2), (i, j) from the centre.

    `[size, size]`; an even size has its centre between four entries. `normalize` divides by the
    sum, which is 1 for the endless bell only.
    """
    sigma = _above_zero("sigma", sigma)
    i, j = _coordinates((size, size))
    kernel = np.exp(-(i**2 + j**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return (kernel / kernel.sum() if normalize else kernel).astype(np.float32)


def laplacian_kernel() -> np.ndarray:
    """Sum of the second differences: [[0, 1, 0], [1, -4, 1], [0, 1, 0]]."""
    return np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)


def sobel_kernel(axis: int = 0) -> np.ndarray:
    """Smoothed difference along an axis: [[1, 2, 1], [0, 0, 0], [-1, -2, -1]], or its transpose.

    Axis 0 answers to horizontal edges, where the rows above are brighter; 1 to vertical ones.

    Raises:
      ValueError: another axis.
    """
    if axis not in (0, 1):
        raise ValueError(f"sobel_kernel has axis 0 or 1, got {axis!r}.")
    kernel = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32)
    return kernel if axis == 0 else kernel.T


def gabor_kernel(
    size: int | tuple[int, int],
    *,
    alpha: float = 1.0,
    beta_x: float = 0.1,
    beta_y: float = 0.1,
    frequency: float = 1.0,
    phase: float = 0.0,
    x0: float = 0.0,
    y0: float = 0.0,
    tau: float = 0.0,
) -> np.ndarray:
    """Gabor function, the simple cell of visual cortex: a wave under a bell.

        w(x, y) = alpha exp(-beta_x x'^2 - beta_y y'^2) cos(frequency x' + phase)
        x' =  (x - x0) cos tau + (y - y0) sin tau
        y' = -(x - x0) sin tau + (y - y0) cos tau

    Returns `[height, width]`.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, eq. 9.16 to 9.18.

    Args:
      size: height and width; x runs along the columns and y along the rows, both from the centre.
      alpha: height of the bell.
      beta_x, beta_y: how fast it falls, along and across the wave.
      frequency: of the wave, in radians a pixel.
      phase: of the wave at the centre, in radians.
      x0, y0: the centre.
      tau: direction of the wave, in radians.
    """
    y, x = _coordinates((size, size) if isinstance(size, int) else size)
    along = (x - x0) * np.cos(tau) + (y - y0) * np.sin(tau)
    across = -(x - x0) * np.sin(tau) + (y - y0) * np.cos(tau)
    bell = np.exp(-beta_x * along**2 - beta_y * across**2)
    return (alpha * bell * np.cos(frequency * along + phase)).astype(np.float32)


def gabor_bank(
    size: int = 11,
    *,
    orientations: int = 4,
    frequencies: Sequence[float] = (0.6, 1.2),
    phases: Sequence[float] = (0.0, np.pi / 2),
    zero_mean: bool = True,
) -> np.ndarray:
    """Gabor functions of all orientations, frequencies and phases: `[size, size, count]`.

    The orientations divide half a turn evenly; the bell spans about one and a half waves. Order:
    frequency slowest, then orientation, then phase.

    Args:
      size: height and width.
      orientations: number of them.
      frequencies: in radians a pixel.
      phases: 0 for even functions (bars), pi/2 for odd ones (edges).
      zero_mean: subtract the mean, so that even brightness gives no answer.
    """
    orientations = geometry.positive("orientations", orientations)
    kernels = []
    directions = np.pi * np.arange(orientations) / orientations
    for frequency, tau, phase in itertools.product(frequencies, directions, phases):
        beta = 2 * (_above_zero("frequency", frequency) / (2 * np.pi)) ** 2
        wave = {"frequency": frequency, "phase": phase, "tau": tau}
        kernel = gabor_kernel(size, beta_x=beta, beta_y=beta, **wave)
        kernels.append(kernel - kernel.mean() if zero_mean else kernel)
    return np.stack(kernels, axis=-1)


def filter_channels(
    x: jax.Array, kernel: np.ndarray | jax.Array, *, padding: geometry.Padding = "SAME"
) -> jax.Array:
    """Convolve every channel by itself with one kernel, or with each of a bank.

    Args:
      x: `[*leading, height, width, channels]`.
      kernel: `[height, width]`, or `[height, width, count]`.
      padding: as for `conv`.

    Returns:
      `[*leading, *out_space, channels]`, or with `channels * count` channels, those of one input
      channel next to each other.

    Raises:
      ValueError: a kernel of another rank, or arguments that `conv` refuses.
    """
    if kernel.ndim not in (2, 3):
        raise ValueError(
            f"filter_channels takes a kernel [height, width] or [height, width, count], got shape "
            f"{kernel.shape}."
        )
    x, channels = as_floating(x), x.shape[-1]
    bank = jnp.asarray(kernel, x.dtype).reshape(*kernel.shape[:2], 1, -1)
    return conv(x, jnp.tile(bank, channels), padding=padding, feature_group_count=channels)


def box_blur(x: jax.Array, size: int = 3, *, padding: geometry.Padding = "SAME") -> jax.Array:
    """Mean of the square around each pixel of x `[*leading, height, width, channels]`."""
    return filter_channels(x, box_kernel(size), padding=padding)


def gaussian_blur(
    x: jax.Array, sigma: float = 1.0, *, padding: geometry.Padding = "SAME"
) -> jax.Array:
    """Blur x `[*leading, height, width, channels]` with a normalised bell that ends at 3 sigma."""
    size = 2 * int(np.ceil(3 * _above_zero("sigma", sigma))) + 1
    return filter_channels(x, gaussian_kernel(size, sigma, normalize=True), padding=padding)


def laplacian(x: jax.Array, *, padding: geometry.Padding = "SAME") -> jax.Array:
    """Laplacian of x `[*leading, height, width, channels]`: bright where it is a valley."""
    return filter_channels(x, laplacian_kernel(), padding=padding)


def sobel(x: jax.Array, axis: int = 0, *, padding: geometry.Padding = "SAME") -> jax.Array:
    """Sobel's answer to the edges of x `[*leading, height, width, channels]` across one axis."""
    return filter_channels(x, sobel_kernel(axis), padding=padding)


def sobel_magnitude(x: jax.Array, *, padding: geometry.Padding = "SAME") -> jax.Array:
    """Strength of edges in any direction: sqrt(sobel(x, 0)^2 + sobel(x, 1)^2)."""
    return jnp.hypot(sobel(x, 0, padding=padding), sobel(x, 1, padding=padding))


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
        last = jnp.moveaxis(x, axis - axes - 1, -2)
        kernel = jnp.tile(jnp.asarray(factor, x.dtype)[:, None, None], channels)
        one = side if isinstance(side, str) else (side,)
        z = conv(last, kernel, strides=step, padding=one, feature_group_count=channels)
        x = jnp.moveaxis(z, -2, axis - axes - 1)
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


def _coordinates(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[height, 1]` and columns `[1, width]`, counted from the centre."""
    height, width = (geometry.positive("size", each) for each in size)
    rows = np.arange(height)[:, None] - (height - 1) / 2
    return rows, np.arange(width)[None, :] - (width - 1) / 2


def _above_zero(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value!r}.")
    return value
