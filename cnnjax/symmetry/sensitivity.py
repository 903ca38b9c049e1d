"""Sensitivity of a function to transformations, in units of what else changes its output."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.equivariance import Function, equivariance_pair, one_array
from cnnjax.symmetry.transformations import rotate90, shift


def normalised_invariance_error(moved: jax.Array, outputs: jax.Array) -> jax.Array:
    """Change of the output under a transformation, relative to that from one image to another.

        sqrt(mean over i of ||f(g x_i) - f(x_i)||^2  /  mean over i != j of ||f(x_i) - f(x_j)||^2)

    0: invariant; 1: the transformed image is to f as good as another image. Unlike an error
    relative to ||f(x)|| it does not change when a constant is added to f. 0 for a constant
    function, infinite for one that only the transformation changes. Returns `[transforms]`.

    Args:
      moved: outputs for the transformed images, `[transforms, images, *output]`.
      outputs: outputs for the images, `[images, *output]`.

    Raises:
      ValueError: fewer than 2 images, or shapes that do not fit.
    """
    if len(outputs) < 2 or moved.shape[1:] != outputs.shape:
        raise ValueError(
            f"`moved` must be [transforms, *outputs.shape] for at least 2 images, got shapes "
            f"{moved.shape} and {outputs.shape}."
        )
    changes = jnp.sum((moved - outputs[None]).reshape(*moved.shape[:2], -1) ** 2, -1).mean(1)
    # Differences from one of them, which are exactly zero for a constant function.
    flat = (outputs - outputs[:1]).reshape(len(outputs), -1)
    between = 2 * jnp.sum(flat.var(0, ddof=1))
    return jnp.sqrt(jnp.where(changes == 0, 0, changes / between))


def noise_like(key: jax.Array, x: jax.Array, moved: jax.Array) -> jax.Array:
    """Images changed by Gaussian noise as much as a transformation changes them.

        x_i + ||g x_i - x_i|| n_i / ||n_i||,    n_i standard normal

    A network that responds to this as to the transformation is not invariant, but insensitive.
    Returns `[batch, ...]`, one direction for each image.

    Args:
      key: random key.
      x: `[batch, ...]`.
      moved: the transformed images, of the shape of x.

    Raises:
      ValueError: different shapes.
    """
    if x.shape != moved.shape:
        raise ValueError(f"`moved` must have the shape of `x`, {x.shape}, got {moved.shape}.")
    axes = tuple(range(1, x.ndim))
    noise = jax.random.normal(key, x.shape, x.dtype)
    size = jnp.sqrt(jnp.sum((moved - x) ** 2, axes, keepdims=True))
    return x + size * noise / jnp.sqrt(jnp.sum(noise**2, axes, keepdims=True))


def changes_over_shifts(
    f: Callable[..., jax.Array], x: jax.typing.ArrayLike, *arguments: Any, seed: int = 0
) -> dict[str, np.ndarray]:
    """Change of the output by each circular shift to the right, and by noise of equal norm.

    Both in units of the change from one image to another, see `normalised_invariance_error` and
    `noise_like`: 0 invariant, 1 as another image, not finite where f gives the same for all images.
    Returns 'shift' and 'noise', each `[width]`, of the shifts 0, 1, ... (the first is 0).

    Args:
      f: from `[batch, height, width, channels]` to an array that shifts should not change, such as
        logits; compiled once as long as it is the same object.
      x: `[batch, height, width, channels]`, at least 2 images.
      *arguments: passed to f after the images.
      seed: of the noise.

    Raises:
      ValueError: fewer than 2 images.
    """
    changes = _changes_over_shifts(f, jnp.asarray(x), jax.random.key(seed), *arguments)
    return {kind: np.asarray(change) for kind, change in changes.items()}


@functools.partial(jax.jit, static_argnums=0)
def _changes_over_shifts(f, x, key, *arguments):
    def at(right):
        moved = shift(x, (0, right))
        noisy = noise_like(jax.random.fold_in(key, right), x, moved)
        return {"shift": f(moved, *arguments), "noise": f(noisy, *arguments)}

    outputs = jax.lax.map(at, jnp.arange(x.shape[2]))
    plain = f(x, *arguments)
    return {kind: normalised_invariance_error(each, plain) for kind, each in outputs.items()}


def changes_over_rotations(
    f: Callable[..., jax.Array], x: jax.typing.ArrayLike, *arguments: Any, seed: int = 0
) -> dict[str, np.ndarray]:
    """Change of the output by rotations by 90, 180 and 270 degrees, and by noise of equal norm.

    Both in units of the change from one image to another, see `normalised_invariance_error` and
    `noise_like`: 0 invariant, 1 as another image, not finite where f gives the same for all images.
    Returns 'rotation' and 'noise', each `[3]`.

    Args:
      f: from `[batch, side, side, channels]` to an array that rotations should not change, such as
        logits, each example on its own; compiled once as long as it is the same object.
      x: `[batch, side, side, channels]`, at least 2 images.
      *arguments: passed to f after the images.
      seed: of the noise.

    Raises:
      ValueError: fewer than 2 images, or images that are not square.
    """
    x = jnp.asarray(x)
    if x.shape[1] != x.shape[2]:
        raise ValueError(f"`x` must be square images, got shape {x.shape}.")
    changes = _changes_over_rotations(f, x, jax.random.key(seed), *arguments)
    return {kind: np.asarray(change) for kind, change in changes.items()}


@functools.partial(jax.jit, static_argnums=0)
def _changes_over_rotations(f, x, key, *arguments):
    rotated = [rotate90(x, times) for times in (1, 2, 3)]
    noisy = [noise_like(jax.random.fold_in(key, n), x, moved) for n, moved in enumerate(rotated)]
    outputs = f(jnp.concatenate([x, *rotated, *noisy]), *arguments)
    plain, *moved = jnp.split(outputs, 7)
    return {
        "rotation": normalised_invariance_error(jnp.stack(moved[:3]), plain),
        "noise": normalised_invariance_error(jnp.stack(moved[3:]), plain),
    }


def equivariance_psnr(
    f: Function,
    g_in: Function,
    g_out: Function,
    x: jax.Array,
    peak: float = 2.0,
    valid: jax.Array | None = None,
) -> jax.Array:
    """Peak signal-to-noise ratio between f(g x) and g f(x), in decibels.

        10 log10(peak^2 / mean of (f(g x) - g f(x))^2),    over examples, positions and channels

    Infinite if f is equivariant. EQ-T for translations, EQ-R for rotations.
    Source: Karras, Aittala, Laine, Haerkoenen, Hellsten, Lehtinen, Aila, Alias-free generative
    adversarial networks, 2021, section 2.2 and appendix E.3 (peak 2: images between -1 and 1).

    Args:
      f: from x to an array.
      g_in, g_out: how the transformation acts on x and on f(x).
      x: `[batch, ...]`.
      peak: range of the outputs, largest minus smallest possible value.
      valid: mask that broadcasts to f(x), of the entries compared: those that the transformation
        does not bring in from outside. None: all.

    Raises:
      ValueError: a peak that is not positive, or an output that is no array.
    """
    if not peak > 0:
        raise ValueError(f"`peak` must be positive, got {peak!r}.")
    actual, expected = map(one_array, equivariance_pair(f, g_in, g_out, x))
    squares = (actual - expected) ** 2
    error = squares.mean() if valid is None else squares.mean(where=jnp.asarray(valid, bool))
    return 10 * (2 * jnp.log10(peak) - jnp.log10(error))
