"""Images read between their pixels."""

from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from cnnjax.ops.window import as_floating

Interpolation = Literal["bilinear", "bicubic"]
Border = Literal["constant", "edge", "reflect", "circular"]


def interpolate(
    x: jax.Array,
    sources: jax.Array,
    *,
    interpolation: Interpolation = "bilinear",
    border: Border = "constant",
    fill: float = 0.0,
) -> jax.Array:
    """Values of images at any points, differentiable in both.

    bilinear is of 2 x 2 pixels; on a pixel itself the slope is that towards the pixel after it.
    bicubic is of 4 x 4 pixels, with a continuous slope (Keys, Cubic convolution interpolation for
    digital image processing, 1981, a = -1/2). Returns `[*leading, *points, channels]`; of integers,
    floats.

    Args:
      x: `[*leading, height, width, channels]`.
      sources: `[2, *points]`, (down, right) in pixels from the first one.
      interpolation: 'bilinear' or 'bicubic'.
      border: beyond the image lie: constant, `fill`; edge, its outermost pixels; reflect, itself
        mirrored about those; circular, itself again.
      fill: for 'constant'.

    Raises:
      ValueError: x without two spatial axes, another interpolation or border.
    """
    if x.ndim < 3:
        raise ValueError(f"x must be [*leading, height, width, channels], got shape {x.shape}.")
    if interpolation not in _TAPS:
        raise ValueError(f"interpolation must be one of {', '.join(_TAPS)}, got {interpolation!r}.")
    if border not in get_args(Border):
        raise ValueError(f"border must be one of {', '.join(get_args(Border))}, got {border!r}.")
    x = as_floating(x)
    first, weigh = _TAPS[interpolation]
    whole = jnp.floor(jax.lax.stop_gradient(sources))
    reads = [
        [
            _read(at.astype(int) + first + tap, weight, size, border)
            for tap, weight in enumerate(weigh(part))
        ]
        for at, part, size in zip(whole, sources - whole, x.shape[-3:-1], strict=True)
    ]
    ground = fill if border == "constant" else 0.0
    leading, total = range(x.ndim - 3), jnp.zeros((), x.dtype)
    for row, down in reads[0]:
        for column, right in reads[1]:
            weight = jnp.expand_dims(down * right, (*leading, -1))
            total = total + weight * (x[..., row, column, :] - ground)
    return (total + ground).astype(x.dtype)


def affine_sources(
    space: Sequence[int], matrix: jax.Array, offset: Sequence[float] | jax.Array = (0.0, 0.0)
) -> jax.Array:
    """Where each pixel of a linearly warped image comes from.

        sources[p] = c + matrix^-1 (p - c - offset),    c = (size - 1) / 2

    Returns `[2, height, width]`, for `interpolate`.

    Args:
      space: height and width.
      matrix: `[2, 2]`, acts on (down, right) coordinates about the centre; may be traced.
      offset: in pixels down and right.
    """
    grid = jnp.meshgrid(*map(jnp.arange, space), indexing="ij")
    centre = [(size - 1) / 2 for size in space]
    down, right = (at - (mid + move) for at, mid, move in zip(grid, centre, offset, strict=True))
    # Written out, since accelerators multiply matrices in half precision: a tenth of a pixel.
    (a, b), (c, d) = matrix
    determinant = a * d - b * c
    return jnp.stack(
        [
            (d * down - b * right) / determinant + centre[0],
            (a * right - c * down) / determinant + centre[1],
        ]
    )


def _read(
    index: jax.Array, weight: jax.Array, size: int, border: Border
) -> tuple[jax.Array, jax.Array]:
    """The index inside the image, and the weight, that an index on any side of it stands for."""
    if border == "constant":
        weight = jnp.where((index >= 0) & (index < size), weight, 0)
    elif border == "circular":
        index = index % size
    elif border == "reflect":
        period = max(2 * (size - 1), 1)
        index = index % period
        index = jnp.minimum(index, period - index)
    return jnp.clip(index, 0, size - 1), weight


def _bilinear(t: jax.Array) -> list[jax.Array]:
    return [1 - t, t]


def _bicubic(t: jax.Array) -> list[jax.Array]:
    """Keys' kernel at the distances 1 + t, t, 1 - t and 2 - t."""
    return [
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    ]


_TAPS = {"bilinear": (0, _bilinear), "bicubic": (-1, _bicubic)}
