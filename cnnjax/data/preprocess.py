"""From stored uint8 images to the network's input, inside the compiled step."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Fill = Literal["zero", "circular"]


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """What is done to images on their way into the network, in the order of `preprocess`."""

    canvas: int | tuple[int, int] | None = None
    """Height and width of the canvas that the image is placed on; None: the image's own."""
    upsample: int = 1
    """Factor by which the image grows before it is placed, by bilinear interpolation."""
    fill: Fill = "zero"
    """zero: the image stays whole on a black canvas; circular: it may leave at one edge of the
    canvas and come back at the opposite one."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from pixels in 0 .. 1, one for all channels or one for each."""
    std: tuple[float, ...] = (1.0,)
    """Divides after that, one for all channels or one for each."""
    crop_padding: int = 0
    """Random crops: zeros added on every side of the image, of which a window of the image's own
    size is cut at random."""
    flip: bool = False
    """Whether to mirror left and right with probability 1/2."""

    def __post_init__(self):
        if self.fill not in ("zero", "circular"):
            raise ValueError(f"fill is {self.fill!r}, 'zero' or 'circular' would be right.")
        if self.upsample < 1:
            raise ValueError(f"upsample is {self.upsample}, 1 or more would be right.")
        if self.crop_padding < 0:
            raise ValueError(f"crop_padding is {self.crop_padding}, 0 or more would be right.")
        if any(value <= 0 for value in self.std):
            raise ValueError(f"std is {self.std}, positive numbers would be right.")


def preprocess(
    images: jax.Array, keys: jax.Array | None, config: Preprocess, translation=1
) -> jax.Array:
    """Images as the network sees them: flipped, cropped, upsampled, placed, standardised.

    Every example draws from its own key, so the result does not depend on how a batch is split.
    The image's place is drawn uniformly, on each axis, from the `translation` positions in the
    middle: from `centre - (translation - 1) // 2` on, with `centre = (canvas - image) // 2`. With
    'zero' there are at most `canvas - image + 1` of them, with 'circular' at most `canvas`; a
    traced number above that counts as that. At last `(x / 255 - mean) / std`, also of the
    black around the image.

    Args:
      images: uint8 [batch, height, width, channels].
      keys: typed PRNG keys [batch]; None for no randomness: no crop, no flip, the image centred.
      config: what to do.
      translation: number of positions, an int or a pair for the two axes; may be traced.

    Returns:
      float32 [batch, canvas height, canvas width, channels].
    """
    x = jnp.asarray(images).astype(jnp.float32)
    if x.ndim != 4:
        raise ValueError(f"images have shape {x.shape}, [batch, height, width, channels] is right.")
    if keys is not None:
        flip_keys, crop_keys, place_keys = _split(keys, 3)
        # In this order, XLA's CPU backend makes one pass of it: cropping first is 9 times slower.
        x = _crop(_flip(x, flip_keys, config), crop_keys, config)
    x = _upsample(x, config.upsample)
    x = _place(x, None if keys is None else place_keys, config, translation)
    mean, std = (_per_channel(values, x.shape[-1]) for values in (config.mean, config.std))
    return (x / 255 - mean) / std


def shift(images: jax.Array, shifts: jax.Array, fill: Fill) -> jax.Array:
    """Moves every image by whole pixels: `out[b, y, x] = images[b, y - dy, x - dx]`.

    Args:
      images: [batch, height, width, channels], of any type.
      shifts: ints [batch, 2], (dy, dx) down and to the right.
      fill: 'circular' takes indices modulo the axis, 'zero' puts zeros where there is no image.

    Returns:
      array like `images`.
    """
    if fill not in ("zero", "circular"):
        raise ValueError(f"fill is {fill!r}, 'zero' or 'circular' would be right.")
    images, shifts = jnp.asarray(images), jnp.asarray(shifts)
    if shifts.shape != (len(images), 2):
        raise ValueError(f"shifts have shape {shifts.shape}, {(len(images), 2)} would be right.")
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


def _split(keys: jax.Array, number: int) -> jax.Array:
    """`number` keys out of every key: [number, batch]."""
    return jax.vmap(lambda key: jax.random.split(key, number), out_axes=1)(keys)


def _crop(x, keys, config):
    """A window of padded images is the image moved by up to the padding."""
    if config.crop_padding == 0:
        return x
    low, high = -config.crop_padding, config.crop_padding + 1
    draw = jax.vmap(lambda key: jax.random.randint(key, (2,), low, high))
    return shift(x, draw(keys), "zero")


def _flip(x, keys, config):
    if not config.flip:
        return x
    mirrored = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)


def _upsample(x, factor):
    if factor == 1:
        return x
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, height * factor, width * factor, channels), "linear")


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
    # Where the image stays whole, wrapping and filling are the same.
    return shift(jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))), offsets, "circular")


def _canvas_size(config, image):
    if config.canvas is None:
        return image
    canvas = (config.canvas,) * 2 if isinstance(config.canvas, int) else tuple(config.canvas)
    if len(canvas) != 2 or any(big < small for big, small in zip(canvas, image, strict=True)):
        raise ValueError(
            f"canvas is {config.canvas}, but the image is {image} after upsampling by "
            f"{config.upsample} and must fit."
        )
    return canvas


def _positions(image, canvas, fill, translation):
    """Number of positions on each axis, int32 [2]; those of Python are checked, traced clipped."""
    most = canvas if fill == "circular" else np.subtract(canvas, image) + 1
    most = np.asarray(most, np.int32)
    if not any(isinstance(number, Tracer) for number in jax.tree.leaves(translation)):
        asked = np.broadcast_to(np.asarray(translation), (2,))
        if (asked < 1).any() or (asked > most).any():
            raise ValueError(
                f"translation is {translation}, 1 to {most.tolist()} would be right for an image "
                f"of {tuple(image)} on a canvas of {tuple(canvas)} with fill={fill!r}."
            )
    asked = jnp.broadcast_to(jnp.asarray(translation, jnp.int32), (2,))
    return jnp.clip(asked, 1, most)


def _per_channel(values, channels):
    if len(values) not in (1, channels):
        raise ValueError(f"{values} has {len(values)} numbers, 1 or {channels} would be right.")
    return jnp.broadcast_to(jnp.asarray(values, jnp.float32), (channels,))[None, None, None]
