"""Images read at any points, with a choice of what lies beyond them."""

from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.augmentation_config import Border


def warp(
    image: jax.Array, sources: jax.Array, border: Border = "constant", fill: float = 0.0
) -> jax.Array:
    """Values of an image at points, bilinearly.

    Args:
      image: `[height, width, channels]`.
      sources: `[*points, 2]`, (down, right) in pixels from the first one.
      border: beyond the image lie: constant, `fill`; edge, its outermost pixels; reflect, itself
        mirrored about those; circular, itself again.
      fill: for 'constant'.

    Returns:
      `[*points, channels]`.

    Raises:
      ValueError: another border.
    """
    if border not in get_args(Border):
        raise ValueError(f"border must be one of {', '.join(get_args(Border))}, got {border!r}.")
    first = jnp.floor(sources)
    part = sources - first
    total = jnp.zeros((), image.dtype)
    for down in (0, 1):
        for right in (0, 1):
            at = first.astype(int) + jnp.array([down, right]).reshape(*(1,) * (sources.ndim - 1), 2)
            weight = (part[..., 0] if down else 1 - part[..., 0]) * (
                part[..., 1] if right else 1 - part[..., 1]
            )
            total = total + weight[..., None] * _pixels(image, at, border, fill)
    return total.astype(image.dtype)


def _pixels(image: jax.Array, at: jax.Array, border: Border, fill: float) -> jax.Array:
    indices, inside = [], jnp.array(True)
    for axis in (0, 1):
        size, index = image.shape[axis], at[..., axis]
        inside = inside & (index >= 0) & (index < size)
        if border == "circular":
            index = index % size
        elif border == "reflect":
            period = max(2 * (size - 1), 1)
            index = index % period
            index = jnp.minimum(index, period - index)
        indices.append(jnp.clip(index, 0, size - 1))
    pixels = image[indices[0], indices[1]]
    return jnp.where(inside[..., None], pixels, fill) if border == "constant" else pixels


def resize_all(
    images: Sequence[np.ndarray],
    size: tuple[int, int],
    how: Literal["stretch", "crop", "pad"] = "crop",
) -> jax.Array:
    """Images of any sizes, all made one size.

    Args:
      images: each `[height, width, channels]`, with one number of channels.
      size: height and width of the result.
      how: stretch: each axis by its own factor; crop: both by one, so that the image covers the
        result, whose middle is kept; pad: both by one, so that it fits, zeros around it.

    Returns:
      float32 `[len(images), *size, channels]`, antialiased.

    Raises:
      ValueError: no images, another `how`, or channels that differ.
    """
    if how not in ("stretch", "crop", "pad"):
        raise ValueError(f"how must be 'stretch', 'crop' or 'pad', got {how!r}.")
    if not len(images) or len({image.shape[2:] for image in images}) > 1:
        raise ValueError(
            f"images must be some, with the same channels, got shapes "
            f"{[image.shape for image in images]}."
        )
    return jnp.stack([_resized(jnp.asarray(image, jnp.float32), size, how) for image in images])


def _resized(image: jax.Array, size: tuple[int, int], how: str) -> jax.Array:
    factors = [new / old for new, old in zip(size, image.shape[:2], strict=True)]
    if how == "stretch":
        return jax.image.resize(image, (*size, image.shape[2]), "linear")
    factor = max(factors) if how == "crop" else min(factors)
    bound = max if how == "crop" else min
    shape = [
        bound(new, round(factor * old)) for new, old in zip(size, image.shape[:2], strict=True)
    ]
    image = jax.image.resize(image, (*shape, image.shape[2]), "linear")
    if how == "crop":
        top, left = ((old - new) // 2 for old, new in zip(shape, size, strict=True))
        return image[top : top + size[0], left : left + size[1]]
    rest = [new - old for new, old in zip(size, shape, strict=True)]
    sides = [(gap // 2, gap - gap // 2) for gap in rest]
    return jnp.pad(image, (*sides, (0, 0)))
