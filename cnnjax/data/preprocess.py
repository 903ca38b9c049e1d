"""Preprocessing of stored uint8 images to the network's input, inside the compiled step."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Fill = Literal["zero", "circular"]


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """Preprocessing of images, in the order of `preprocess`."""

    canvas: int | tuple[int, int] | None = None
    """Height and width of the canvas that the image is placed on; None: those of the image."""
    upsample: int = 1
    """Factor by which the image is enlarged before it is placed, by bilinear interpolation."""
    fill: Fill = "zero"
    """zero: the image lies entirely on a black canvas; circular: it may wrap around its edges."""
    mean: tuple[float, ...] = (0.0,)
    """Mean that is subtracted from pixels in 0 .. 1, one for all channels or one for each."""
    std: tuple[float, ...] = (1.0,)
    """Standard deviation that they are then divided by, one for all channels or one for each."""
    crop_padding: int = 0
    """Zero padding on every side of the image, of which a random crop of the image's size is
    taken."""
    flip: bool = False
    """Whether to flip left-right with probability 1/2."""

    def __post_init__(self):
        if self.fill not in ("zero", "circular"):
            raise ValueError(f"`fill` must be 'zero' or 'circular', got {self.fill!r}.")
        if self.upsample < 1:
            raise ValueError(f"`upsample` must be at least 1, got {self.upsample}.")
        if self.crop_padding < 0:
            raise ValueError(f"`crop_padding` must be at least 0, got {self.crop_padding}.")
        if any(value <= 0 for value in self.std):
            raise ValueError(f"`std` must be positive numbers, got {self.std}.")


def preprocess(
    images: jax.Array, keys: jax.Array | None, config: Preprocess, translation=1
) -> jax.Array:
    """Network input from images: flipped, cropped, upsampled, placed, standardised.

    Every example has its own key, so that the result does not depend on how a batch is split.
    The position of the image is drawn uniformly, on each axis, from the `translation` positions in
    the middle: from `centre - (translation - 1) // 2` on, with `centre = (canvas - image) // 2`.
    With 'zero' there are at most `canvas - image + 1` of them, with 'circular' at most `canvas`; a
    traced number above that is clipped. Last comes `(x / 255 - mean) / std`, on the black around
    the image, too. Returns float32 `[batch, canvas height, canvas width, channels]`.

    Args:
      images: uint8 `[batch, height, width, channels]`.
      keys: typed PRNG keys `[batch]`; None: no crop, no flip, the image centred.
      config: what to do.
      translation: number of positions, an int or a pair for the two axes; may be traced.
    """
    x = jnp.asarray(images).astype(jnp.float32)
    if x.ndim != 4:
        raise ValueError(f"`images` must be [batch, height, width, channels], got shape {x.shape}.")
    if keys is not None:
        split = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)
        flip_keys, crop_keys, place_keys = split(keys)
        # In this order, XLA's CPU backend makes one pass of it: cropping first is 9 times slower.
        if config.flip:
            mirrored = jax.vmap(jax.random.bernoulli)(flip_keys)
            x = jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
        if config.crop_padding:
            # A crop of a padded image is the image shifted by up to the padding.
            low, high = -config.crop_padding, config.crop_padding + 1
            draw = jax.vmap(lambda key: jax.random.randint(key, (2,), low, high))
            x = shift(x, draw(crop_keys), "zero")
    if config.upsample > 1:
        height, width = (config.upsample * size for size in x.shape[1:3])
        x = jax.image.resize(x, (len(x), height, width, x.shape[-1]), "linear")
    x = _place(x, None if keys is None else place_keys, config, translation)
    mean, std = (_per_channel(values, x.shape[-1]) for values in (config.mean, config.std))
    return (x / 255 - mean) / std


def shift(images: jax.Array, shifts: jax.Array, fill: Fill) -> jax.Array:
    """Shift every image by whole pixels: `out[b, y, x] = images[b, y - dy, x - dx]`.

    Args:
      images: `[batch, height, width, channels]`, of any type.
      shifts: ints `[batch, 2]`, (dy, dx) down and to the right.
      fill: 'circular' takes indices modulo the axis, 'zero' fills with zeros.
    """
    if fill not in ("zero", "circular"):
        raise ValueError(f"`fill` must be 'zero' or 'circular', got {fill!r}.")
    images, shifts = jnp.asarray(images), jnp.asarray(shifts)
    if shifts.shape != (len(images), 2):
        raise ValueError(f"`shifts` must have shape {(len(images), 2)}, got {shifts.shape}.")
    for axis in (1, 2):
        size = images.shape[axis]
        source = jnp.arange(size)[None] - shifts[:, axis - 1, None]
        ones = [1, 1, 1, 1]
        ones[0], ones[axis] = len(images), size
        moved = jnp.take_along_axis(images, (source % size).reshape(ones), axis=axis)
        if fill == "zero":
            inside = ((source >= 0) & (source < size)).reshape(ones)
            moved = jnp.where(inside, moved, jnp.zeros((), images.dtype))
        images = moved
    return images


def _place(x, keys, config, translation):
    image, canvas = x.shape[1:3], _canvas_size(config, x.shape[1:3])
    positions = _positions(image, canvas, config.fill, translation)
    if canvas == image and config.fill == "zero":
        return x
    centre = np.subtract(canvas, image).astype(np.int32) // 2
    offsets = jnp.broadcast_to(centre, (len(x), 2))
    if keys is not None:
        draw = jax.vmap(lambda key: jax.random.randint(key, (2,), 0, positions))
        offsets = offsets - ((positions - 1) // 2)[None] + draw(keys)
    below, right = (large - small for large, small in zip(canvas, image, strict=True))
    # Where the image lies entirely on the canvas, wrapping and filling are the same.
    return shift(jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))), offsets, "circular")


def _canvas_size(config, image):
    if config.canvas is None:
        return image
    canvas = (config.canvas,) * 2 if isinstance(config.canvas, int) else tuple(config.canvas)
    if len(canvas) != 2 or any(big < small for big, small in zip(canvas, image, strict=True)):
        raise ValueError(
            f"`canvas` must be at least {image}, the size of the image after upsampling by "
            f"{config.upsample}, got {config.canvas}."
        )
    return canvas


def _positions(image, canvas, fill, translation):
    """Number of positions on each axis, int32 `[2]`; Python numbers are checked, traced ones
    clipped."""
    most = canvas if fill == "circular" else np.subtract(canvas, image) + 1
    most = np.asarray(most, np.int32)
    if not any(isinstance(number, Tracer) for number in jax.tree.leaves(translation)):
        wanted = np.broadcast_to(np.asarray(translation), (2,))
        if (wanted < 1).any() or (wanted > most).any():
            raise ValueError(
                f"`translation` must be 1 to {most.tolist()} for an image of {tuple(image)} on a "
                f"canvas of {tuple(canvas)} with fill={fill!r}, got {translation}."
            )
    wanted = jnp.broadcast_to(jnp.asarray(translation, jnp.int32), (2,))
    return jnp.clip(wanted, 1, most)


def _per_channel(values, channels):
    if len(values) not in (1, channels):
        raise ValueError(f"`mean` and `std` must have 1 or {channels} numbers, got {values}.")
    return jnp.broadcast_to(jnp.asarray(values, jnp.float32), (channels,))[None, None, None]
