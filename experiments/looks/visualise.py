"""What has a network learned: its filters, feature maps, preferred inputs, and the evidence for its decisions?

Filters of the first layer with the Gabor functions nearest to them; feature maps of one image,
layer by layer; for units of every layer the input that maximises their response, found by gradient
ascent, beside the patches of test images with the largest responses; saliency and occlusion maps of
single decisions.

    python launch.py train --workdir runs/digits
    python launch.py visualise runs/digits                   under a minute
    python launch.py visualise PlainNet                      untrained, for comparison
    python launch.py visualise ResNet18 --weights FILE --data imagenet2012 --size 224 --data-dir DIR
    python launch.py visualise smoke                         seconds

Expected: filters, patches and preferred inputs of a trained network show strokes where an untrained
one shows noise; saliency and occlusion lie on the digit.

Source: Erhan, Bengio, Courville, Vincent, Visualizing higher-layer features of a deep network,
2009; Simonyan, Vedaldi, Zisserman, Deep inside convolutional networks, 2014; Zeiler, Fergus,
Visualizing and understanding convolutional networks, 2014; Olah, Mordvintsev, Schubert, Feature
visualization, 2017; Smilkov et al., SmoothGrad, 2017; Goodfellow, Bengio, Courville, Deep Learning,
2016, section 9.10 (Gabor).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnnjax.run.config import CheckedConfig, InputError, Positive, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    import jax
    import numpy as np
    from flax import linen

    from cnnjax import inspect, report, tasks

FILTERS, MAPS, MAP_LAYERS, PATCHES = 16, 8, 12, 9
"""Filters, feature maps of a layer, layers with maps, and patches of a unit, at most."""
Results = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which network, on which images."""

    model: Annotated[str, tyro.conf.Positional] = "PlainNet"
    """Directory of a run, network of cnnjax.models, or package.module:Class."""
    network: str | None = None
    """Name of the network, of a run of several."""
    trust: tuple[str, ...] = ()
    """Import paths that the files of a run name, package.module:Class, whose code may be run."""
    weights: str | None = None
    """File of trained weights with torchvision's names, .safetensors or .npz."""
    data: str | None = None
    """TFDS name of the data set; by default that of the run, or digits."""
    data_dir: str | None = None
    """Directory of prepared data sets; by default the run's, TFDS_DATA_DIR, or that of TFDS."""
    size: Positive | None = None
    """Height and width in pixels that images are resized to; by default their own, or the run's."""
    layers: Positive = 4
    """Layers with space whose units are shown, evenly spread over the network."""
    units: Positive = 6
    """Units of each layer."""
    images: Positive = 5
    """Test images whose decisions are explained."""
    searched_images: Positive = 1000
    """Test images among which patches are found."""
    steps: Positive = 128
    """Steps of gradient ascent."""
    seed: Seed = 0
    """Seed of gradient ascent, and of the weights of an untrained network."""


PRESETS = {"smoke": Config(layers=2, units=2, images=2, searched_images=100, steps=8)}


def run(config: Config, record: Record) -> None:
    """Look into the network; write results and page."""
    task, (model, variables, weights) = network(config)
    count = min(max(config.searched_images, config.images), len(task.test))
    searched, labels = task.test.read(np.arange(count))
    x = np.asarray(task.place(searched))
    layers = inspect.layers_of(model, task.shape)
    key = jax.random.key(config.seed)
    maps = jax.jit(functools.partial(inspect.feature_maps, model))
    results = {
        "model": config.model,
        "module": type(model).__name__,
        "weights": weights,
        "data": task.dataset.name,
        "class_names": task.dataset.class_names,
        "filters": first_filters(variables, layers),
        "maps": first_maps(maps, variables, x[:1]),
        "units": units(config, maps, variables, layers, x, key),
        "classes": inspect.preferred_classes(
            model, variables, x.shape[1:], key, steps=config.steps
        ).mean(-1),
        "decisions": decisions(model, variables, x[: config.images], labels, key),
    }
    page(record.results(results), record)


def network(config: Config) -> tuple[tasks.Task, tasks.Trained]:
    """The data, and the network with its variables."""
    if tasks.is_run(config.model):
        for name in ("data", "size", "weights"):
            if getattr(config, name):
                raise InputError(f"{name} of {config.model} must be that of the run: give none.")
        directory = Path(config.model)
        task = tasks.load_task(directory, config.network, config.data_dir)
        x = task.place(task.test.read(np.arange(2))[0])
        found = tasks.load_trained(directory, x, network=config.network, trust=config.trust)
        task.check_logits(found.model)
        return task, found
    task = tasks.resized(
        config.data or "digits",
        config.data_dir,
        size=config.size,
        channels=3 if config.weights else None,
        statistics="imagenet" if config.weights else "data",
    )
    model = tasks.make_model(config.model, classes=task.classes)
    task.check_logits(model)
    if config.weights:
        return task, tasks.load_pretrained(model, config.weights, task.shape)
    x = task.place(task.test.read(np.arange(2))[0])
    variables = jax.jit(model.init)(jax.random.key(config.seed), x)
    return task, tasks.Trained(model, variables, "untrained")


def first_filters(variables: Any, layers: Sequence[inspect.Layer]) -> dict[str, Any] | None:
    """The first kernels larger than 1 x 1, `[filters, height, width]`, and their Gabor fits."""
    found = inspect.first_filters(variables, layers, FILTERS)
    return None if found is None else found._asdict()


def first_maps(
    maps: Callable[..., Mapping[str, jax.Array]], variables: Any, x: np.ndarray
) -> dict[str, Any]:
    """An image, and the first feature maps of every array with space."""
    found = jax.device_get(maps(variables, x))
    spatial = {name: z for name, z in found.items() if z.ndim == 4 and min(z.shape[1:3]) > 1}
    return {
        "image": x[0].mean(-1),
        "layers": [
            {"name": name, "maps": np.moveaxis(z[0], -1, 0)[:MAPS]} for name, z in spatial.items()
        ],
    }


def units(
    config: Config,
    maps: Callable[..., Mapping[str, jax.Array]],
    variables: Any,
    layers: Sequence[inspect.Layer],
    x: np.ndarray,
    key: jax.Array,
) -> list[dict[str, Any]]:
    """Units of convolutions, spread evenly: preferred inputs and patches."""
    counts = {"units": config.units, "patches": PATCHES, "steps": config.steps}
    return [
        {
            "layer": layer.name,
            "receptive_field": max(layer.receptive_field or ()),
            "units": [
                {
                    **unit._asdict(),
                    "preferred": unit.preferred.mean(-1),
                    "patches": unit.patches.mean(-1),
                }
                for unit in inspect.varied_units(
                    functools.partial(maps, variables), layer, x, key, **counts
                )
            ],
        }
        for layer in inspect.convolutions_spread(variables, layers, config.layers)
    ]


def decisions(
    model: linen.Module, variables: Any, x: np.ndarray, labels: np.ndarray, key: jax.Array
) -> list[dict[str, Any]]:
    """Class and predicted class of each image, and the evidence for the latter."""
    found = inspect.evidence(model, variables, x, key)
    return [
        {
            "image": image.mean(-1),
            "label": int(label),
            "predicted": int(scores.argmax()),
            "top5": inspect.most_probable(scores),
            "saliency": np.abs(saliency).max(-1),
            "occlusion": occlusion,
        }
        for image, label, scores, saliency, occlusion in zip(x, labels, *found, strict=False)
    ]


def page(results: Results, record: Record) -> None:
    """Write the page."""
    correct = sum(each["label"] == each["predicted"] for each in results["decisions"])
    shown = min(MAP_LAYERS, len(results["maps"]["layers"]))
    classes = dict(zip(results["class_names"], results["classes"], strict=False))
    report.write_page(
        record,
        __doc__,
        [
            f"{results['module']} on {results['data']}, {results['weights']}: {correct} of the "
            f"{len(results['decisions'])} images explained below are classified correctly.",
            *(filter_blocks(results["filters"]) if results["filters"] else []),
            report.Heading("Feature maps"),
            report.Figure(
                "feature_maps",
                report.image_rows(map_rows(results["maps"])),
                f"One image and the first {MAPS} feature maps of {shown} of "
                f"{report.counted(len(results['maps']['layers']), 'layer')}, each map over its own "
                "range.",
            ),
            report.Heading("A hierarchy of features"),
            "Units whose responses vary most over test images. Left the input that maximises the "
            "response of the unit in the middle, found by gradient ascent (jittered, blurred, in "
            f"the decorrelated spectrum, with the norm of a real image); right the {PATCHES} "
            "patches of test images with the largest responses, as large as the receptive field.",
            *(
                report.Figure(
                    f"units_{number}",
                    report.unit_patches(layer["units"]),
                    f"{layer['layer']}: receptive field of "
                    f"{report.counted(layer['receptive_field'], 'pixel')}.",
                )
                for number, layer in enumerate(results["units"], start=1)
            ),
            report.Figure(
                "classes",
                report.image_grid(classes, signed=True),
                "Input that maximises the logit of each class, found in the same way.",
            ),
            report.Heading("Evidence for decisions"),
            report.Figure(
                "decisions",
                report.evidence_maps(results["decisions"], results["class_names"]),
                "Test images; the gradient of the predicted class's logit, smoothed over noisy "
                "copies, largest channel; and the decrease of that logit when a square is covered "
                "with the darkest value of all images (red: decrease, blue: increase).",
            ),
            report.score_table(
                results["decisions"][0]["top5"],
                results["decisions"][0]["label"],
                results["class_names"],
                "the first of these images",
            ),
        ],
    )


def filter_blocks(filters: Results) -> list[Any]:
    """The filters of the first layer, and how well Gabor functions fit them."""
    fits = filters["gabor_fit"]
    titles = [
        f"{number}" + (f": {fits[number - 1]:.2f}" if fits else "")
        for number in range(1, len(filters["kernels"]) + 1)
    ]
    panels = dict(zip(titles, filters["kernels"], strict=True))
    said = []
    if fits:
        mean, noise = (
            report.format_number(float(np.mean(some)), 2)
            for some in (fits, filters["gabor_fit_of_noise"])
        )
        said = [
            f"Nearest Gabor functions explain {mean} of the variance of a kernel on average, and "
            f"{noise} of that of noise of the same size, since eight parameters fit much of a "
            "small kernel."
        ]
    return [
        report.Heading("Filters of the first layer"),
        report.Figure(
            "filters",
            report.image_grid(panels, columns=8, signed=True),
            f"Kernels of {filters['layer']}, mean over input channels"
            + (", with the R² of the nearest Gabor function." if fits else "."),
        ),
        *said,
    ]


def map_rows(maps: Results) -> dict[str, list[Any]]:
    """The image, and the first feature maps of layers spread over the network."""
    count = min(MAP_LAYERS, len(maps["layers"]))
    spread = np.linspace(0, len(maps["layers"]) - 1, count).round().astype(int)
    chosen = (maps["layers"][number] for number in spread)
    return {"image": [maps["image"]]} | {layer["name"]: layer["maps"] for layer in chosen}
