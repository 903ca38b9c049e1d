"""Resizing of images of any sizes to one size."""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np


def resize_all(
    images: Sequence[np.ndarray],
    size: tuple[int, int],
    how: Literal["stretch", "crop", "pad"] = "crop",
) -> jax.Array:
    """Resize images of any sizes to one size.

    Args:
      images: each `[height, width, channels]`, with one number of channels.
      size: height and width of the result.
      how: stretch: each axis by its own factor; crop: both by the same, so that the image covers
        the result, then cropped to the centre; pad: both by the same, so that it fits, then padded
        with zeros.

    Returns:
      float32 `[len(images), *size, channels]`, antialiased.

    Raises:
      ValueError: no images, another `how`, or different numbers of channels.
    """
    if how not in ("stretch", "crop", "pad"):
        raise ValueError(f"`how` must be 'stretch', 'crop' or 'pad', got {how!r}.")
    if not len(images) or len({image.shape[2:] for image in images}) > 1:
        raise ValueError(
            f"`images` must be at least one, with the same channels, got shapes "
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
        bound(new, max(1, round(factor * old)))
        for new, old in zip(size, image.shape[:2], strict=True)
    ]
    image = jax.image.resize(image, (*shape, image.shape[2]), "linear")
    if how == "crop":
        top, left = ((old - new) // 2 for old, new in zip(shape, size, strict=True))
        return image[top : top + size[0], left : left + size[1]]
    rest = [new - old for new, old in zip(size, shape, strict=True)]
    sides = [(gap // 2, gap - gap // 2) for gap in rest]
    return jnp.pad(image, (*sides, (0, 0)))
