"""What a classifier has learned: first filters, units of its layers, classes and decisions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.inspect.architecture import Layer
from cnnjax.inspect.features import occlusion_map, preferred_inputs, smooth_saliency, top_patches
from cnnjax.inspect.gabor_fit import gabor_features

_CHUNK = 250
_SMALLEST_FITTED = 5


class FirstFilters(NamedTuple):
    """Filters of the first layer that has larger ones than 1 x 1."""

    layer: str
    """Its name."""
    kernels: np.ndarray
    """Mean over input channels, `[filters, height, width]`."""
    gabor_fit: list[float]
    """Share of the variance of each kernel that the nearest Gabor function explains; none for
    kernels of less than 5 pixels, which its eight parameters fit whatever they are."""
    gabor_fit_of_noise: list[float]
    """The same of four kernels of Gaussian noise of the same size."""


def first_filters(
    variables: Mapping[str, Any], layers: Sequence[Layer], count: int = 16
) -> FirstFilters | None:
    """The first kernels larger than 1 x 1 on two axes, and their Gabor fits; None where none is.

    Args:
      variables: of the network.
      layers: from `layers_of`, in order.
      count: filters, at most.
    """
    for layer in layers:
        found = _parameters(variables, layer.name).get("kernel")
        if found is not None and found.ndim == 4 and min(found.shape[:2]) > 1:
            kernel = np.asarray(found)[..., :count]
            noise = np.random.default_rng(0).normal(size=(*kernel.shape[:2], 1, 4))
            fits = [
                [fit.r_squared for fit in gabor_features(bank)]
                if min(kernel.shape[:2]) >= _SMALLEST_FITTED
                else []
                for bank in (kernel, noise)
            ]
            return FirstFilters(layer.name, np.moveaxis(kernel.mean(2), -1, 0), *fits)
    return None


def convolutions_spread(
    variables: Mapping[str, Any], layers: Sequence[Layer], count: int
) -> list[Layer]:
    """Layers with kernels, space and a receptive field: so many, spread evenly over the network."""
    found = [
        layer
        for layer in layers
        if layer.receptive_field and layer.effective_stride and len(layer.output_shape) == 3
        if "kernel" in _parameters(variables, layer.name)
    ]
    spread = np.linspace(0, len(found) - 1, min(count, len(found)))
    return [found[index] for index in np.unique(spread.round().astype(int))]


class Unit(NamedTuple):
    """A channel of a layer."""

    channel: int
    """Its number."""
    preferred: np.ndarray
    """Input that maximises its response in the middle of the image, `[height, width, channels]`."""
    patches: np.ndarray
    """Patches of images with its largest responses, `[patches, field, field, channels]`."""
    responses: np.ndarray
    """The responses to them, `[patches]`."""


def varied_units(
    maps: Callable[[jax.Array], Mapping[str, jax.Array]],
    layer: Layer,
    x: np.ndarray,
    key: jax.Array,
    *,
    units: int = 6,
    patches: int = 9,
    steps: int = 128,
) -> list[Unit]:
    """Units of a layer whose responses vary most over images: preferred inputs and best patches.

    Channels that do not vary have learned nothing.

    Args:
      maps: from images to the outputs of all layers by name, see `feature_maps`.
      layer: with a receptive field and an effective stride.
      x: images among which the patches are found, `[images, height, width, channels]`; preferred
        inputs have the norm of the first.
      key: random key of the gradient ascent.
      units, patches: how many, at most.
      steps: of gradient ascent.

    Raises:
      ValueError: a layer without receptive field or effective stride.
    """
    if not layer.receptive_field or not layer.effective_stride:
        raise ValueError(f"`layer` must have a receptive field and a stride, got {layer}.")
    parts = [jnp.asarray(x[first : first + _CHUNK]) for first in range(0, len(x), _CHUNK)]
    responses = np.concatenate([np.asarray(maps(part)[layer.name]) for part in parts])
    order = np.argsort(-responses.std((0, 1, 2)), kind="stable")[:units]
    row, column = (size // 2 for size in responses.shape[1:3])

    def scores(images: jax.Array) -> jax.Array:
        return maps(images)[layer.name][jnp.arange(len(order)), row, column, order]

    shape, length = (len(order), *x.shape[1:]), float(np.linalg.norm(x[0]))
    preferred = np.asarray(preferred_inputs(scores, shape, key, steps=steps, norm=length))
    field, stride = max(layer.receptive_field), max(layer.effective_stride)
    return [
        Unit(int(channel), image, *top_patches(responses[..., channel], x, field, stride, patches))
        for channel, image in zip(order, preferred, strict=True)
    ]


def preferred_classes(
    model: linen.Module,
    variables: Mapping[str, Any],
    shape: Sequence[int],
    key: jax.Array,
    *,
    classes: int = 10,
    steps: int = 128,
) -> np.ndarray:
    """Inputs that maximise the logit of each class, `[classes, height, width, channels]`.

    Args:
      model, variables: the network.
      shape: of an image; the inputs have the norm of an image of unit variance.
      key: random key of the gradient ascent.
      classes: the first of them, at most.
      steps: of gradient ascent.
    """

    def logits(images: jax.Array) -> Any:
        return model.apply(variables, images)

    count = min(classes, jax.eval_shape(logits, jnp.zeros((1, *shape))).shape[-1])

    def scores(images: jax.Array) -> jax.Array:
        return logits(images)[jnp.arange(count), jnp.arange(count)]

    length = float(np.sqrt(np.prod(shape)))
    return np.asarray(preferred_inputs(scores, (count, *shape), key, steps=steps, norm=length))


class Evidence(NamedTuple):
    """The predicted class of images, and what of each image speaks for it."""

    log_probabilities: np.ndarray
    """`[images, classes]`; the predicted class is the most probable."""
    saliency: np.ndarray
    """`smooth_saliency` of the predicted class's logit, `[images, height, width, channels]`."""
    occlusion: np.ndarray
    """`occlusion_map` of the same, `[images, rows, columns]`."""


def evidence(
    model: linen.Module, variables: Mapping[str, Any], x: np.ndarray, key: jax.Array
) -> Evidence:
    """Saliency and occlusion of the class that a network predicts for each image.

    Squares of a sixth of the height are covered with the darkest value of all images: that is the
    background of digits, and black in photographs.

    Args:
      model, variables: the network.
      x: images `[images, height, width, channels]`.
      key: random key of the noise of `smooth_saliency`.
    """
    logits: Any = jax.jit(model.apply)(variables, x)
    predicted = logits.argmax(-1)

    def score(images: jax.Array) -> jax.Array:
        found: Any = model.apply(variables, images)
        return found[jnp.arange(len(images)), predicted]

    side = max(2, x.shape[1] // 6)
    stride, darkest = max(1, side // 2), float(x.min())
    covered = occlusion_map(score, jnp.asarray(x), size=side, stride=stride, value=darkest)
    gradients = smooth_saliency(score, jnp.asarray(x), key)
    scores = np.asarray(jax.nn.log_softmax(logits))
    return Evidence(scores, np.asarray(gradients), np.asarray(covered))


def _parameters(variables: Mapping[str, Any], name: str) -> Any:
    """Parameters of the module at a path 'block/conv'."""
    found = variables["params"]
    for part in name.split("/"):
        found = found.get(part, {})
    return found
