"""Random augmentation of images on the device, each image by a key of its own.

All geometric transformations are composed to one warp with one interpolation.
"""

import math

import jax
import jax.numpy as jnp

from cnnjax.data.augmentation_config import Augmentation
from cnnjax.ops import affine_sources, interpolate
from cnnjax.ops.photometric import brightness, contrast


def augment(images: jax.Array, keys: jax.Array, augmentation: Augmentation) -> jax.Array:
    """Augment every image by its own key: flips, warp, contrast, brightness, spot, noise, cutout.

    The shape and type of images stay; values may leave 0 to 1 by brightness, contrast and noise.

    Args:
      images: floating, with values from 0 to 1, `[batch, height, width, channels]`.
      keys: typed PRNG keys `[batch]`.
      augmentation: amounts of the transformations.

    Raises:
      ValueError: images of another rank or of integer type.
    """
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"`images` must be floating, [batch, height, width, channels], got {images.dtype} of "
            f"shape {images.shape}."
        )
    return jax.vmap(lambda image, key: _augment(image, key, augmentation))(images, keys)


def _augment(x: jax.Array, key: jax.Array, a: Augmentation) -> jax.Array:
    # A key for each transformation, the same whichever others are on.
    keys = dict(zip(_USES, jax.random.split(key, len(_USES)), strict=True))
    if a.mirror_columns:
        x = jnp.where(jax.random.bernoulli(keys["columns"]), x[:, ::-1], x)
    if a.mirror_rows:
        x = jnp.where(jax.random.bernoulli(keys["rows"]), x[::-1], x)
    if any((a.rotation, a.translation, a.shear, a.elastic, a.rescale - 1, a.zoom - 1)):
        x = interpolate(x, _sources(x.shape[:2], keys, a), border=a.border, fill=a.fill)
    if a.brightness or a.contrast > 1:
        factor = _factor(keys["contrast"], a.contrast)
        added = _either_way(keys["brightness"], a.brightness)
        x = brightness(contrast(x, factor), added)
    if a.spot:
        x = x + _spot(x.shape[:2], keys["spot"], a.spot)
    if a.noise:
        x = x + a.noise * jax.random.normal(keys["noise"], x.shape, x.dtype)
    if a.cutout:
        x = jnp.where(_square(x.shape[:2], keys["cutout"], a.cutout), a.fill, x)
    return x


_USES = (
    "columns", "rows", "rotation", "translation", "rescale", "zoom", "shear", "elastic",
    "brightness", "contrast", "spot", "noise", "cutout",
)  # fmt: skip


def _sources(space: tuple[int, ...], keys: dict[str, jax.Array], a: Augmentation) -> jax.Array:
    """Source position of each pixel, `[2, height, width]`."""
    angle = math.pi / 180 * _either_way(keys["rotation"], a.rotation)
    shear = math.pi / 180 * _either_way(keys["shear"], a.shear)
    factors = _factor(keys["rescale"], a.rescale) * _factor(keys["zoom"], a.zoom, (2,))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    # On (down, right), counter-clockwise on a screen.
    rotation = jnp.array([[cos, -sin], [sin, cos]])
    if a.shear_keeps == "area":
        sheared = jnp.array([[1.0, 0.0], [jnp.tan(shear), 1.0]])
    else:
        sheared = jnp.array([[jnp.cos(shear), 0.0], [jnp.sin(shear), 1.0]])
    # The entries must not be rounded by the reduced precision of accelerators.
    matrix = jnp.matmul(rotation, sheared, precision="highest") * factors[None]
    moved = _either_way(keys["translation"], a.translation, (2,)) * jnp.array(space, jnp.float32)
    sources = affine_sources(space, matrix, moved)
    if a.elastic:
        sources = sources + _displacement(space, keys["elastic"], a)
    return sources


def _displacement(space: tuple[int, ...], key: jax.Array, a: Augmentation) -> jax.Array:
    """Smoothed uniform noise of root mean square `elastic`, `[2, height, width]`.

    Source: Simard, Steinkraus, Platt, Best practices for convolutional neural networks applied to
    visual document analysis, 2003, section 2.
    """
    field = jax.random.uniform(key, (*space, 2), minval=-1.0)
    for axis, size in enumerate(space):
        distance = jnp.minimum(jnp.arange(size), size - jnp.arange(size))
        bell = jnp.exp(-(distance**2) / (2 * a.elastic_smoothness**2))
        spectrum = jnp.fft.rfft(bell).reshape(-1, *(1,) * (2 - axis))
        smooth = jnp.fft.rfft(field, axis=axis) * jnp.expand_dims(spectrum, range(axis))
        field = jnp.fft.irfft(smooth, n=size, axis=axis)
    field = a.elastic * field / jnp.sqrt(jnp.mean(field**2) + 1e-12)
    return jnp.moveaxis(field, -1, 0)


def _spot(space: tuple[int, ...], key: jax.Array, height: float) -> jax.Array:
    place, amount = jax.random.split(key)
    size = jnp.array(space, jnp.float32)
    centre = jax.random.uniform(place, (2,)) * size
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, space), indexing="ij"), -1)
    distance = (grid - centre[None, None]) / (size / 4)[None, None]
    bell = jnp.exp(-(distance**2).sum(-1, keepdims=True) / 2)
    return _either_way(amount, height) * bell


def _square(space: tuple[int, ...], key: jax.Array, side: int) -> jax.Array:
    """Mask `[height, width, 1]` of a square, part of which may lie outside."""
    centre = jax.random.randint(key, (2,), 0, jnp.array(space))
    first = centre - side // 2
    inside = [
        (jnp.arange(size) >= low) & (jnp.arange(size) < low + side)
        for size, low in zip(space, first, strict=True)
    ]
    return (inside[0][:, None] & inside[1][None])[..., None]


def _either_way(key: jax.Array, largest: float, shape: tuple[int, ...] = ()) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-1.0) * largest


def _factor(key: jax.Array, largest: float, shape: tuple[int, ...] = ()) -> jax.Array:
    return jnp.exp(_either_way(key, math.log(largest), shape))
