"""Everything that a look inside a network shows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.inspect import (
    Layer,
    feature_maps,
    gabor_features,
    layers_of,
    occlusion_map,
    preferred_inputs,
    smooth_saliency,
    top_patches,
)
from cnnjax.study.classification import Classification

SHOWN_FILTERS = 16
"""Filters of the first layer, and channels of each feature map, at most."""


def see(
    model: linen.Module,
    variables: Any,
    task: Classification,
    *,
    layers: int,
    units: int,
    images: int,
    searched_images: int,
    steps: int,
    seed: int,
) -> dict[str, Any]:
    """Filters, feature maps, preferred inputs, patches, saliency and occlusion, as plain values.

    Args:
      model: any Flax network that gives logits `[batch, classes]`.
      variables: its variables.
      task: its data.
      layers: layers with space whose units are shown.
      units: units of each.
      images: test images whose decisions are explained.
      searched_images: test images among which patches are found.
      steps: of gradient ascent.
      seed: of gradient ascent.
    """
    test = task.dataset.test
    searched, labels = test.read(np.arange(min(max(searched_images, images), len(test))))
    x = np.asarray(task.place(searched))
    maps = jax.jit(lambda x: feature_maps(model, variables, x))
    known = layers_of(model, task.shape)
    spatial = _layers_with_space(known, variables, layers)
    key = jax.random.key(seed)
    return {
        "class_names": task.dataset.class_names,
        "filters": _filters(variables, [layer.name for layer in known]),
        "maps": _maps(feature_maps(model, variables, jnp.asarray(x[:1])), x[0]),
        "units": [
            _units(maps, name, x, field, jump, units, steps, key) for name, field, jump in spatial
        ],
        "classes": _classes(model, variables, x.shape[1:], steps, key),
        "decisions": _decisions(model, variables, x[:images], labels[:images], key),
    }


def _filters(variables: Any, layers: list[str]) -> dict[str, Any] | None:
    """The first kernel with a window, `[filters, height, width]`, and its Gabor fits."""
    for name in layers:
        found = _at(variables["params"], name).get("kernel")
        if found is not None and found.ndim == 4 and min(found.shape[:2]) > 1:
            kernel = np.asarray(found)[..., :SHOWN_FILTERS]
            # Eight parameters fit any kernel of nine taps.
            fits = gabor_features(kernel) if min(kernel.shape[:2]) >= 5 else []
            noise = np.random.default_rng(0).normal(size=(*kernel.shape[:2], 1, 4))
            return {
                "layer": name,
                "kernels": np.moveaxis(kernel.mean(2), -1, 0),
                "gabor_fit": [fit.r_squared for fit in fits],
                "gabor_fit_of_noise": [fit.r_squared for fit in gabor_features(noise)]
                if fits
                else [],
            }
    return None


def _layers_with_space(
    known: list[Layer], variables: Any, count: int
) -> list[tuple[str, int, int]]:
    """Names of convolutions, spread evenly, with receptive field and effective stride in pixels."""
    found = [
        (layer.name, max(layer.receptive_field), max(layer.effective_stride))
        for layer in known
        if layer.receptive_field and layer.effective_stride and len(layer.output_shape) == 3
        if "kernel" in _at(variables["params"], layer.name)
    ]
    chosen = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return [found[index] for index in chosen]


def _at(params: Any, name: str) -> Any:
    for part in name.split("/"):
        params = params.get(part, {})
    return params


def _maps(maps: dict[str, jax.Array], image: np.ndarray) -> dict[str, Any]:
    """The image, and the first channels of every array with space."""
    spatial = {name: z for name, z in maps.items() if z.ndim == 4 and min(z.shape[1:3]) > 1}
    return {
        "image": image.mean(-1),
        "layers": [
            {"name": name, "maps": np.moveaxis(np.asarray(z[0]), -1, 0)[:8]}
            for name, z in spatial.items()
        ],
    }


def _units(
    maps: Callable[[jax.Array], dict[str, jax.Array]],
    name: str,
    x: np.ndarray,
    field: int,
    jump: int,
    count: int,
    steps: int,
    key: jax.Array,
) -> dict[str, Any]:
    parts = [jnp.asarray(x[first : first + 250]) for first in range(0, len(x), 250)]
    responses = np.concatenate([np.asarray(maps(part)[name]) for part in parts])
    # The channels that vary most have learned something.
    order = np.argsort(-responses.std((0, 1, 2)), kind="stable")[:count]
    row, column = (size // 2 for size in responses.shape[1:3])

    def scores(images: jax.Array) -> jax.Array:
        return maps(images)[name][jnp.arange(len(order)), row, column, order]

    preferred = preferred_inputs(
        scores,
        (len(order), *x.shape[1:]),
        key,
        steps=steps,
        norm=float(np.linalg.norm(x[0])),
    )
    shown = []
    for channel, image in zip(order, np.asarray(preferred), strict=True):
        patches, strengths = top_patches(responses[..., channel], x, field, jump, 9)
        shown.append(
            {
                "channel": int(channel),
                "preferred": image.mean(-1),
                "patches": patches.mean(-1),
                "responses": strengths,
            }
        )
    return {"layer": name, "field": field, "units": shown}


def _classes(
    model: linen.Module, variables: Any, shape: tuple[int, ...], steps: int, key: jax.Array
) -> np.ndarray:
    """Preferred inputs of up to ten classes, `[classes, height, width]`."""

    def logits(x: jax.Array) -> Any:
        return model.apply(variables, x)

    count = min(10, jax.eval_shape(logits, jnp.zeros((1, *shape))).shape[-1])

    def scores(images: jax.Array) -> jax.Array:
        return logits(images)[jnp.arange(count), jnp.arange(count)]

    length = float(np.sqrt(np.prod(shape)))
    found = preferred_inputs(scores, (count, *shape), key, steps=steps, norm=length)
    return np.asarray(found).mean(-1)


def _decisions(
    model: linen.Module, variables: Any, x: np.ndarray, labels: np.ndarray, key: jax.Array
) -> list[dict[str, Any]]:
    """For each image its class, the predicted one, and what that rests on."""
    logits = np.asarray(jax.jit(model.apply)(variables, x))
    predicted = logits.argmax(-1)

    def score(images: jax.Array) -> jax.Array:
        found: Any = model.apply(variables, images)
        return found[jnp.arange(len(images)), predicted]

    side = max(2, x.shape[1] // 6)
    # Covered with the darkest value: the ground of digits, black in photographs.
    covered = occlusion_map(
        score, jnp.asarray(x), size=side, stride=max(1, side // 2), value=float(x.min())
    )
    gradients = smooth_saliency(score, jnp.asarray(x), key)
    return [
        {
            "image": image.mean(-1),
            "label": int(label),
            "predicted": int(guess),
            "saliency": np.abs(np.asarray(gradient)).max(-1),
            "occlusion": fall,
        }
        for image, label, guess, gradient, fall in zip(
            x, labels, predicted, gradients, np.asarray(covered), strict=True
        )
    ]
