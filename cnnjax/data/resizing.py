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

    Returns float32 `[len(images), *size, channels]`, antialiased.

    Args:
      images: each `[height, width, channels]`, with one number of channels.
      size: height and width of the result.
      how: stretch: each axis by its own factor; crop: both by the same, so that the image covers
        the result, then cropped to the centre; pad: both by the same, so that it fits, then padded
        with zeros.

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
    old = image.shape[:2]
    if how == "stretch":
        shape = size
    else:
        bound = max if how == "crop" else min
        factor = bound(new / before for new, before in zip(size, old, strict=True))
        rounded = (max(1, round(factor * before)) for before in old)
        shape = tuple(map(bound, size, rounded))
    image = jax.image.resize(image, (*shape, image.shape[2]), "linear")
    # Padding of the centre, which crops where it is negative.
    rest = [new - resized for new, resized in zip(size, shape, strict=True)]
    sides = [(int(gap / 2), gap - int(gap / 2), 0) for gap in rest]
    return jax.lax.pad(image, jnp.zeros((), image.dtype), [*sides, (0, 0, 0)])
