"""What has a network learned: its filters, feature maps, preferred inputs, and the evidence for its decisions?

Filters of the first layer with the Gabor functions nearest to them; feature maps of one image, layer
by layer; for units of every layer the input that maximises their response, found by gradient ascent,
beside the patches of test images with the largest responses; saliency and occlusion maps of single
decisions.

    python launch.py train --workdir runs/digits
    python launch.py visualise runs/digits                   under a minute
    python launch.py visualise PlainNet                      untrained, for comparison
    python launch.py visualise ResNet18 --weights FILE --data imagenet2012 --size 224 --data-dir DIR
    python launch.py visualise smoke                         seconds

Expected: filters, patches and preferred inputs of a trained network show strokes where an untrained
one shows noise; saliency and occlusion lie on the digit.

Source: Erhan, Bengio, Courville, Vincent, Visualizing higher-layer features of a deep network, 2009;
Simonyan, Vedaldi, Zisserman, Deep inside convolutional networks, 2014; Zeiler, Fergus, Visualizing
and understanding convolutional networks, 2014; Olah, Mordvintsev, Schubert, Feature visualization,
2017; Smilkov et al., SmoothGrad, 2017; Goodfellow, Bengio, Courville, Deep Learning, 2016, section
9.10 (Gabor).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnnjax.run.config import CheckedConfig, InputError, Positive, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    import jax
    import jax.numpy as jnp
    import matplotlib
    import matplotlib.figure
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
    """Directory of prepared data sets; by default that of the run, TFDS_DATA_DIR, or that of TFDS."""
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
    results = {
        "model": config.model,
        "module": type(model).__name__,
        "weights": weights,
        "data": task.dataset.name,
        "class_names": task.dataset.class_names,
        "filters": first_filters(variables, layers),
        "maps": first_maps(model, variables, x[:1]),
        "units": layers_with_units(config, model, variables, layers, x, key),
        "classes": preferred_classes(config, model, variables, x.shape[1:], key),
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
    return task, tasks.Trained(model, model.init(jax.random.key(config.seed), x), "untrained")


def first_filters(variables: Any, layers: Sequence[inspect.Layer]) -> dict[str, Any] | None:
    """The first kernels larger than 1 x 1, `[filters, height, width]`, and their Gabor fits."""
    for layer in layers:
        found = parameters_of(variables, layer.name).get("kernel")
        if found is not None and found.ndim == 4 and min(found.shape[:2]) > 1:
            kernel = np.asarray(found)[..., :FILTERS]
            # The eight parameters of a Gabor function fit any kernel of nine weights.
            banks = [kernel, np.random.default_rng(0).normal(size=(*kernel.shape[:2], 1, 4))]
            fits = [
                [fit.r_squared for fit in inspect.gabor_features(bank)]
                if min(kernel.shape[:2]) >= 5
                else []
                for bank in banks
            ]
            return {
                "layer": layer.name,
                "kernels": np.moveaxis(kernel.mean(2), -1, 0),
                "gabor_fit": fits[0],
                "gabor_fit_of_noise": fits[1],
            }
    return None


def first_maps(model: linen.Module, variables: Any, x: np.ndarray) -> dict[str, Any]:
    """An image, and the first feature maps of every array with space."""
    maps = inspect.feature_maps(model, variables, jnp.asarray(x))
    spatial = {name: z for name, z in maps.items() if z.ndim == 4 and min(z.shape[1:3]) > 1}
    return {
        "image": x[0].mean(-1),
        "layers": [
            {"name": name, "maps": np.moveaxis(np.asarray(z[0]), -1, 0)[:MAPS]}
            for name, z in spatial.items()
        ],
    }


def layers_with_units(
    config: Config,
    model: linen.Module,
    variables: Any,
    layers: Sequence[inspect.Layer],
    x: np.ndarray,
    key: jax.Array,
) -> list[dict[str, Any]]:
    """Units of convolutions, spread evenly: preferred inputs and patches."""
    maps = jax.jit(lambda images: inspect.feature_maps(model, variables, images))
    found = [
        layer
        for layer in layers
        if layer.receptive_field and layer.effective_stride and len(layer.output_shape) == 3
        if "kernel" in parameters_of(variables, layer.name)
    ]
    spread = np.linspace(0, len(found) - 1, min(config.layers, len(found)))
    chosen = np.unique(spread.round().astype(int))
    return [_units(config, found[index], maps, x, key) for index in chosen]


def _units(
    config: Config, layer: inspect.Layer, maps: Callable, x: np.ndarray, key: jax.Array
) -> dict[str, Any]:
    parts = [jnp.asarray(x[first : first + 250]) for first in range(0, len(x), 250)]
    responses = np.concatenate([np.asarray(maps(part)[layer.name]) for part in parts])
    # Channels that do not vary have learned nothing.
    order = np.argsort(-responses.std((0, 1, 2)), kind="stable")[: config.units]
    row, column = (size // 2 for size in responses.shape[1:3])

    def scores(images: jax.Array) -> jax.Array:
        return maps(images)[layer.name][jnp.arange(len(order)), row, column, order]

    shape, length = (len(order), *x.shape[1:]), float(np.linalg.norm(x[0]))
    preferred = inspect.preferred_inputs(scores, shape, key, steps=config.steps, norm=length)
    assert layer.receptive_field is not None and layer.effective_stride is not None  # noqa: PT018
    field, stride = max(layer.receptive_field), max(layer.effective_stride)
    shown = []
    for channel, image in zip(order, np.asarray(preferred), strict=True):
        found = inspect.top_patches(responses[..., channel], x, field, stride, PATCHES)
        shown.append(
            {
                "channel": int(channel),
                "preferred": image.mean(-1),
                "patches": found[0].mean(-1),
                "responses": found[1],
            }
        )
    return {"layer": layer.name, "receptive_field": field, "units": shown}


def preferred_classes(
    config: Config, model: linen.Module, variables: Any, shape: tuple[int, ...], key: jax.Array
) -> np.ndarray:
    """Preferred inputs of up to ten logits, `[classes, height, width]`."""

    def logits(images: jax.Array) -> Any:
        return model.apply(variables, images)

    count = min(10, jax.eval_shape(logits, jnp.zeros((1, *shape))).shape[-1])

    def scores(images: jax.Array) -> jax.Array:
        return logits(images)[jnp.arange(count), jnp.arange(count)]

    length = float(np.sqrt(np.prod(shape)))
    found = inspect.preferred_inputs(scores, (count, *shape), key, steps=config.steps, norm=length)
    return np.asarray(found).mean(-1)


def decisions(
    model: linen.Module, variables: Any, x: np.ndarray, labels: np.ndarray, key: jax.Array
) -> list[dict[str, Any]]:
    """Class and predicted class of each image, and the evidence for the latter."""
    logits: Any = jax.jit(model.apply)(variables, x)
    predicted = np.asarray(logits).argmax(-1)
    scores = np.asarray(jax.nn.log_softmax(logits))

    def score(images: jax.Array) -> jax.Array:
        found: Any = model.apply(variables, images)
        return found[jnp.arange(len(images)), predicted]

    side = max(2, x.shape[1] // 6)
    # The darkest value is the background of digits, and black in photographs.
    covered = inspect.occlusion_map(
        score, jnp.asarray(x), size=side, stride=max(1, side // 2), value=float(x.min())
    )
    gradients = inspect.smooth_saliency(score, jnp.asarray(x), key)
    return [
        {
            "image": x[number].mean(-1),
            "label": int(labels[number]),
            "predicted": int(predicted[number]),
            "top5": inspect.most_probable(scores[number]),
            "saliency": np.abs(np.asarray(gradients[number])).max(-1),
            "occlusion": np.asarray(covered[number]),
        }
        for number in range(len(x))
    ]


def parameters_of(variables: Any, name: str) -> Any:
    """Parameters of the module at a path 'block/conv'."""
    found = variables["params"]
    for part in name.split("/"):
        found = found.get(part, {})
    return found


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
                report.styled(maps_figure)(results["maps"]),
                f"One image and the first {MAPS} feature maps of {shown} of "
                f"{len(results['maps']['layers'])} layers, each map over its own range.",
            ),
            report.Heading("A hierarchy of features"),
            "Units whose responses vary most over test images. Left the input that maximises the "
            "response of the unit in the middle, found by gradient ascent (jittered, blurred, in "
            f"the decorrelated spectrum, with the norm of a real image); right the {PATCHES} "
            "patches of test images with the largest responses, as large as the receptive field.",
            *(
                report.Figure(
                    f"units_{number}",
                    report.styled(units_figure)(layer["units"]),
                    f"{layer['layer']}: receptive field {layer['receptive_field']} pixels.",
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
                report.styled(decisions_figure)(results["decisions"], results["class_names"]),
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


def maps_figure(maps: Results) -> matplotlib.figure.Figure:
    """A row for each layer: its name and its first feature maps."""
    count = min(MAP_LAYERS, len(maps["layers"]))
    spread = np.linspace(0, len(maps["layers"]) - 1, count).round().astype(int)
    rows = [{"name": "image", "maps": [maps["image"]]}, *(maps["layers"][n] for n in spread)]
    canvas = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 0.72 * len(rows) + 0.2))
    grid = canvas.subplots(len(rows), 1 + MAPS, squeeze=False)
    for line, layer in zip(grid, rows, strict=True):
        for axes in line:
            axes.set_axis_off()
        line[0].text(1.0, 0.5, layer["name"], ha="right", va="center", transform=line[0].transAxes)
        for axes, image in zip(line[1:], layer["maps"], strict=False):
            axes.imshow(np.asarray(image), cmap="gray")
    return canvas


def units_figure(units: Sequence[Results]) -> matplotlib.figure.Figure:
    """For each unit its preferred input, and a square of patches."""
    lines = -(-len(units) // 3)
    canvas = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 1.25 * lines + 0.1))
    grid = canvas.subplots(lines, 6, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    # Gaps are coloured: white patches must not run into the page.
    gaps = matplotlib.colormaps["gray"].with_extremes(bad=report.BLUE)
    for unit, left, right in zip(units, grid[::2], grid[1::2], strict=False):
        _signed(left, unit["preferred"])
        left.set_title(f"channel {unit['channel']}", pad=2)
        right.imshow(_mosaic(np.asarray(unit["patches"])), cmap=gaps)
    return canvas


def _signed(axes: Any, image: Any) -> None:
    """Zero white, negative values blue, positive ones red."""
    largest = max(np.abs(image).max(), 1e-12)
    axes.imshow(np.asarray(image), cmap="RdBu_r", vmin=-largest, vmax=largest)


def _mosaic(patches: np.ndarray) -> np.ndarray:
    """Nine patches as one square, with gaps of NaN."""
    side = patches.shape[1]
    gap = max(1, side // 10)
    square = np.full((3 * (side + gap) - gap,) * 2, np.nan)
    for number, patch in enumerate(patches):
        top, left = (place * (side + gap) for place in divmod(number, 3))
        square[top : top + side, left : left + side] = patch
    return square


def decisions_figure(found: Sequence[Results], names: Sequence[str]) -> matplotlib.figure.Figure:
    """A column for each image: itself, its saliency, its occlusion."""
    columns = max(5, len(found))
    height = 3 * report.DOUBLE_COLUMN / columns + 0.4
    canvas = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, height))
    grid = canvas.subplots(3, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for (image, saliency, occlusion), decision in zip(grid.T, found, strict=False):
        true, predicted = names[decision["label"]], names[decision["predicted"]]
        image.imshow(np.asarray(decision["image"]), cmap="gray")
        image.set_title(true if true == predicted else f"{true} → {predicted}", pad=3)
        saliency.imshow(np.asarray(decision["saliency"]), cmap="inferno")
        _signed(occlusion, decision["occlusion"])
    for axes, label in zip(grid[:, 0], ("image", "saliency", "occlusion"), strict=True):
        axes.text(-0.08, 0.5, label, rotation=90, ha="right", va="center", transform=axes.transAxes)
    return canvas
