"""Learned features: feature maps, preferred inputs, saliency and occlusion."""

import collections
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

Score = Callable[[jax.Array], jax.Array]
"""Function from images `[batch, height, width, channels]` to a score for each, `[batch]`."""


def feature_maps(model: linen.Module, variables: Any, x: jax.Array) -> dict[str, jax.Array]:
    """Output of every module of a network, at evaluation, in the order in which their calls end.

    Args:
      model: any Flax module; called with x alone.
      variables: its variables.
      x: `[batch, *space, channels]`.

    Returns:
      For each module's path, 'conv1' or 'block2/conv1', its output at its first call; the network
      itself under its class' name.
    """
    # The order of any other dictionary would be lost under jit.
    found: dict[str, jax.Array] = collections.OrderedDict()

    def keep(next_function, args, kwargs, context):
        value = next_function(*args, **kwargs)
        if context.method_name == "__call__" and isinstance(value, jax.Array):
            name = "/".join(context.module.path) or type(context.module).__name__
            found.setdefault(name, value)
        return value

    with linen.intercept_methods(keep):
        model.apply(variables, x)
    return found


def saliency(score: Score, x: jax.Array) -> jax.Array:
    """Saliency: gradient of a score with respect to the image, `[batch, height, width, channels]`.

    For a linear score this is its weights.
    Source: Simonyan, Vedaldi, Zisserman, Deep inside convolutional networks, 2014, section 3.
    """
    return jax.grad(lambda images: score(images).sum())(x)


def smooth_saliency(
    score: Score, x: jax.Array, key: jax.Array, *, noise: float = 0.15, samples: int = 16
) -> jax.Array:
    """Mean of `saliency` over noisy copies of the image (SmoothGrad).

    Source: Smilkov, Thorat, Kim, Viegas, Wattenberg, SmoothGrad, 2017.

    Args:
      score, x: as for `saliency`.
      key: random key of the noise.
      noise: standard deviation, relative to the range of the values of x.
      samples: number of copies, at least 1.

    Raises:
      ValueError: samples below 1.
    """
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, got {samples!r}.")
    std = noise * (x.max() - x.min())

    @jax.jit
    def one(keys, number):
        return saliency(score, x + std * jax.random.normal(keys[number], x.shape, x.dtype))

    keys = jax.random.split(key, samples)
    return jnp.asarray(np.stack([one(keys, number) for number in range(samples)]).mean(0))


def occlusion_map(
    score: Score, x: jax.Array, *, size: int = 4, stride: int = 2, value: float = 0.0
) -> jax.Array:
    """Decrease of a score when a square of the image is covered, for every place of the square.

    `score(x) - score(covered)`, `[batch, rows, columns]`, of x `[batch, height, width, channels]`.
    Source: Zeiler & Fergus, Visualizing and understanding convolutional networks, 2014, section
    4.2.

    Args:
      size: side of the square in pixels.
      stride: pixels from one place to the next.
      value: value of the covered pixels.

    Raises:
      ValueError: a square that does not fit, or a stride below 1.
    """
    height, width = x.shape[1:3]
    if not 1 <= size <= min(height, width) or stride < 1:
        raise ValueError(
            f"`size` must be 1 to {min(height, width)} and stride at least 1, got {size} and "
            f"{stride}."
        )
    rows = np.arange(0, height - size + 1, stride)
    columns = np.arange(0, width - size + 1, stride)
    square = np.full((len(x), size, size, x.shape[-1]), value, x.dtype)

    @jax.jit
    def scored(square, place):
        zero = jnp.zeros((), place.dtype)
        return score(jax.lax.dynamic_update_slice(x, square, (zero, *place, zero)))

    # The image's own corner leaves it as it is: the same program gives its score.
    whole = np.asarray(scored(np.asarray(x)[:, :size, :size], np.zeros(2, np.int32)))
    places = np.array(list(itertools.product(rows, columns)), np.int32)
    falls = np.stack([whole - np.asarray(scored(square, place)) for place in places], 1)
    return jnp.asarray(falls.reshape(len(x), len(rows), len(columns)))


def preferred_inputs(
    scores: Score,
    shape: Sequence[int],
    key: jax.Array,
    *,
    steps: int = 128,
    rate: float = 0.1,
    jitter: int = 2,
    blur: float = 0.02,
    decorrelate: bool = True,
    norm: float | None = None,
) -> jax.Array:
    """Images that maximise the responses of units, by gradient ascent from small noise.

    Each step shifts the images by up to `jitter` pixels before they are scored, and mixes in a
    share `blur` of blurred copies. Decorrelated: the ascent is over spectra scaled by 1 /
    frequency, as those of natural images are. With a norm the images are kept at that norm, so
    that the best input of a linear unit is its kernel.
    Source: Erhan, Bengio, Courville, Vincent, Visualizing higher-layer features of a deep network,
    2009; Olah, Mordvintsev, Schubert, Feature visualization, 2017.

    Args:
      scores: scores of images; image i is scored by unit i.
      shape: `[units, height, width, channels]`.
      key: random key of the start and the jitter.
      steps: steps of Adam.
      rate: learning rate of Adam.
      jitter: largest shift in pixels.
      blur: share of blurred copies.
      decorrelate: ascend in the spectrum.
      norm: Euclidean norm of each image, None for unconstrained.
    """
    units, height, width, channels = shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    weight = 1 / np.maximum(frequency, 1 / max(height, width))[None, ..., None]

    def images(parameters):
        x = parameters[0]
        if decorrelate:
            spectrum = jax.lax.complex(*parameters) * weight
            x = jnp.fft.irfft2(spectrum, s=(height, width), axes=(1, 2), norm="ortho")
        if norm is None:
            return x
        lengths = jnp.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 1e-12)
        return norm * x / lengths

    def loss(parameters, key):
        x = images(parameters)
        blurred = x
        for axis in (1, 2):
            neighbours = jnp.roll(blurred, 1, axis) + jnp.roll(blurred, -1, axis)
            blurred = (neighbours + 2 * blurred) / 4
        x = (1 - blur) * x + blur * blurred
        shift = jax.random.randint(key, (2,), -jitter, jitter + 1)
        return -scores(jnp.roll(x, shift, (1, 2))).sum()

    size = (units, height, width // 2 + 1, channels) if decorrelate else tuple(shape)
    optimizer = optax.adam(rate)

    @jax.jit
    def begin(key):
        start_key, key = jax.random.split(key)
        start = jax.random.normal(start_key, (2 if decorrelate else 1, *size))
        parameters = tuple(0.01 * start)
        return parameters, optimizer.init(parameters), jax.random.split(key, steps)

    @jax.jit
    def step(parameters, state, keys, number):
        gradient = jax.grad(loss)(parameters, keys[number])
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), state

    parameters, state, keys = begin(key)
    for number in range(steps):
        parameters, state = step(parameters, state, keys, number)
    return jax.jit(images)(parameters)


def top_patches(
    responses: np.ndarray, images: np.ndarray, field: int, stride: int, count: int = 9
) -> tuple[np.ndarray, np.ndarray]:
    """Patches of images to which a unit responds most, at most one for each image.

    Returns patches `[count, field, field, channels]`, the strongest first, zero beyond the image,
    and responses `[count]`. A position's field is taken to be centred on it.

    Args:
      responses: responses of one channel, `[images, rows, columns]`.
      images: `[images, height, width, channels]`.
      field: size of the unit's receptive field in pixels, on both axes.
      stride: effective stride, pixels from one response to the next.
      count: number of patches.

    Raises:
      ValueError: responses of another rank or for other images.
    """
    if responses.ndim != 3 or len(responses) != len(images):
        raise ValueError(
            f"`responses` must be [images, rows, columns] for {len(images)} images, got shape "
            f"{responses.shape}."
        )
    flat = np.asarray(responses).reshape(len(responses), -1)
    best = np.argsort(-flat.max(1), kind="stable")[:count]
    rows, columns = np.unravel_index(flat[best].argmax(1), responses.shape[1:])
    margins = [
        (size - 1 - (positions - 1) * stride) / 2
        for size, positions in zip(images.shape[1:3], responses.shape[1:], strict=True)
    ]
    padded = np.pad(images, ((0, 0), (field, field), (field, field), (0, 0)))
    patches = []
    for example, *place in zip(best, rows, columns, strict=True):
        centres = [margin + at * stride for margin, at in zip(margins, place, strict=True)]
        # Halves are always rounded up: round() goes to the even integer.
        top, left = (math.floor(centre - (field - 1) / 2 + 0.5) + field for centre in centres)
        patches.append(padded[example, top : top + field, left : left + field])
    return np.stack(patches), flat[best].max(1)
