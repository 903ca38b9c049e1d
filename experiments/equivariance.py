"""Which translations does each convolution commute with, what does training on translated images teach those that do not, and what does it cost?

One circular network of three layers is built from each convolution, from full weight sharing
(standard) through partial sharing (tiled, low-rank) to none (local), with a dense network as
control, and trained on centred or on randomly translated images. Before and after training, the
equivariance error

    ||f(S_m x) - S_m f(x)|| / ||f(x)||

of every layer and of the logits is measured at every circular shift S_m of test images.

    python launch.py equivariance                        digits, 2 seeds: 5 minutes, 2 CPU cores
    python launch.py equivariance smoke                  under a minute
    python launch.py equivariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator
    python launch.py equivariance --conv my_module:Mine  a convolution of your own

Expected: each layer's measured lattice is the predicted one (standard: its stride; tiled: stride
times tile; low-rank, local, dense: the zero shift only), with errors of at most 1e-5 on it and
about sqrt(2) off it for tiled and local layers before training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from cnnjax.models.choice import Convolution
from cnnjax.run.config import Distinct, Positive, Seed, StudyConfig, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import significant
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax
    import numpy as np

    from cnnjax import models, report, symmetry, tasks

FAMILY = (
    Convolution("standard"),
    Convolution("dilated"),
    Convolution("tiled", {"tile": 2}),
    Convolution("tiled", {"tile": 4}),
    Convolution("low_rank", {"rank": 2}),
    Convolution("local"),
    Convolution("dense"),
)
TRAINING = {
    "none": "before training",
    "centred": "trained on centred images",
    "translated": "trained on translated images",
}
OFF = {"error_off": "none", "error_off_translated": "translated"}


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    """What to compare, on what, for how long."""

    conv: Distinct[Convolution] = FAMILY
    """Convolutions to compare, by name or import path: --conv tiled --conv.tile 2 --conv local."""
    seeds: Distinct[Seed] = (0, 1)
    """Seeds; for each a network is trained in every condition."""
    canvas: Positive | None = None
    """Height and width of the canvas in pixels; by default the first multiple of 8 that is at least
    24 and 4 more than the image, which is doubled in size if it is smaller than 16 pixels."""
    features: tuple[Positive, ...] = (4, 8, 32)
    """Output channels of each layer."""
    strides: tuple[Positive, ...] = (1, 2, 2)
    """Strides of each layer."""
    kernel_size: Positive = 5
    """Height and width of every kernel."""
    error_images: Positive = 8
    """Test images on which the equivariance error is measured."""
    translations: Positive = 4
    """Random positions at which each test image is classified for the translated accuracy."""
    train: TrainConfig = TrainConfig(
        steps=150, batch_size=64, learning_rate=0.006, warmup_steps=20, log_every=50
    )
    """How to train, the same for all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layers(self)
        for conv in self.conv:
            for name in {"features", "kernel_size", "strides", "padding"} & set(conv.arguments):
                raise ValueError(f"conv must not have {name!r}, which all share, got {conv}.")


PRESETS = {
    "smoke": Config(
        conv=(Convolution("standard"), Convolution("tiled", {"tile": 2})),
        seeds=(0,),
        features=(4, 4),
        strides=(1, 2),
        kernel_size=3,
        error_images=2,
        translations=1,
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        features=(8, 16, 32),
        error_images=32,
        train=TrainConfig(
            steps=4000, batch_size=256, learning_rate=2e-3, warmup_steps=200, checkpoint_every=1000
        ),
    ),
}


def sweep() -> Iterator[dict[str, Any]]:
    """Configurations that differ in the learning rate, for --sweep."""
    for learning_rate in (0.004, 0.008, 0.016):
        yield {"train.learning_rate": learning_rate}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    images = task.place(task.test.images[: config.error_images])
    translated = {"repeats": config.translations, "translation": task.shape[0]}
    for cell in record.each(conv=config.conv, training=tuple(TRAINING), seed=config.seeds):
        model = models.ConvNet(
            task.classes, cell["conv"].layer(), config.features, config.strides, config.kernel_size
        )
        network = task.network(model, config.train)
        lattices = {}
        if cell["training"] == "none":
            state = network.initial(cell["seed"])
            lattices = layer_lattices(network, state, images)
        else:
            positions = task.shape[0] if cell["training"] == "translated" else 1
            state = network.train(record, cell, translation=positions)
        outputs = network.function("outputs")
        errors = symmetry.errors_over_shifts(outputs, images, state.variables)
        record.observe(
            cell,
            accuracy_centred=network.accuracy(state),
            accuracy_translated=network.accuracy(state, **translated),
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            # Over all shifts but the zero shift.
            error={name: error.ravel()[1:].mean() for name, error in errors.items()},
            errors=errors,
            **lattices,
        )
    page(record.observations(), record)


def layer_lattices(network: tasks.Network, state: Any, images: Any) -> dict[str, Any]:
    """Lattices of a network: predicted from the image, and predicted and measured of each layer."""
    lattices = network.model.predicted_lattices(images.shape[1:-1])
    outputs = jax.eval_shape(network.function("outputs"), images, state.variables)
    inputs = [images.shape, *(output.shape for output in outputs.values())]
    alone = {}
    for index, shape in enumerate(inputs[: len(lattices) - 1]):
        noise = np.random.default_rng(index).normal(size=(2, *shape[1:])).astype(np.float32)
        layer = network.function("layer", index)
        errors = symmetry.errors_over_shifts(layer, noise, state.variables)
        alone[f"conv{index + 1}"] = symmetry.lattice_of_errors(errors)
    return {
        "predicted": {name: each["network"] or () for name, each in lattices.items()},
        "alone_predicted": {name: each["alone"] or () for name, each in lattices.items()},
        "alone_measured": {**alone, "network": ()},
    }


def layer_result(found: Observations, name: str) -> dict[str, Any]:
    """Lattices and errors of one layer of one convolution, over seeds and kinds of training."""
    untrained = found.where(training="none")
    lattices = {
        key: tuple(untrained.array(f"{key}.{name}")[0].astype(int).tolist()) or None
        for key in ("alone_predicted", "alone_measured", "predicted")
    }
    errors = {kind: found.where(training=kind).array(f"errors.{name}") for kind in TRAINING}
    measured = symmetry.lattice_of_errors(np.concatenate(list(errors.values())).max(0))
    exact = symmetry.on_lattice(errors["none"].shape[1:], lattices["predicted"] or measured)
    return {
        "name": name,
        **lattices,
        "measured": measured,
        "step": (lattices["predicted"] or measured)[1],
        "error_on": max(each[:, exact].max() for each in errors.values()),
        **{
            key: None if exact.all() else errors[kind][:, ~exact].mean()
            for key, kind in OFF.items()
        },
        "errors_right": {TRAINING[kind]: significant(each[:, 0]) for kind, each in errors.items()},
        "error_maps": {TRAINING[kind]: significant(each.mean(0)) for kind, each in errors.items()},
    }


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    names = [name.removeprefix("error.") for name in found.numbers if name.startswith("error.")]
    layers = {
        conv: [layer_result(group, name) for name in names]
        for conv, group in found.groups("conv").items()
    }
    record.results({**record.task, "rows": found.results(), "layers": layers})
    claimed = [layer for row in layers.values() for layer in row if layer["predicted"]]
    agree = sum(layer["predicted"] == layer["measured"] for layer in claimed)
    worst = max((layer["error_on"] for layer in claimed), default=None)
    trained = found.where(training=("centred", "translated"))
    columns = {
        "accuracy, centred images": "accuracy_centred",
        "accuracy, translated images": "accuracy_translated",
    }
    panels = [
        [
            report.ShiftPanel(conv, layer["errors_right"], layer["step"])
            for conv, layer in zip(layers, row, strict=True)
        ]
        for row in zip(*layers.values(), strict=True)
    ]
    thresholds = {"exact": symmetry.EXACT, "independent": symmetry.INDEPENDENT}
    report.write_page(
        record,
        __doc__,
        [
            f"{agree} of {len(claimed)} measured lattices are the predicted ones; the largest error "
            f"on a predicted lattice is {report.format_number(worst, 2)}.",
            report.setting(record, found),
            report.Heading("Symmetry"),
            report.Figure(
                "error_against_shift",
                report.error_against_shift(panels[0], **thresholds),
                "Equivariance error of the first layer against horizontal shift: mean over seeds, "
                "band from smallest to largest.",
            ),
            lattice_table(layers),
            report.Figure(
                "shift_maps",
                report.shift_maps(
                    {conv: row[-2]["error_maps"] for conv, row in layers.items()}, **thresholds
                ),
                f"Error of everything up to {names[-2]} over all two-dimensional shifts: the "
                "strides below and the tiles multiply. Mean over seeds.",
            ),
            report.Heading("Training and cost"),
            report.Figure(
                "logits_against_shift",
                report.error_against_shift(panels[-1], **thresholds),
                "Error of the logits, a lack of invariance, against horizontal shift.",
            ),
            report.Figure(
                "accuracy",
                report.dots(
                    report.summaries(trained, columns, "conv", "training", names=TRAINING),
                    "test accuracy (%)",
                ),
                f"Accuracy on {record.task['test_examples']:,} test images; chance is "
                f"{100 / record.task['classes']:.0f} %.",
            ),
            report.summary_table(
                found,
                {
                    **{f"{name} (%)": (number, 100) for name, number in columns.items()},
                    "mean error of the logits": "error.network",
                },
                "conv",
                "training",
                names=TRAINING,
            ),
            report.Figure(
                "cost",
                report.bars(report.costs(record, found, "conv")),
                "Parameters, multiply-adds of one image, and training images/s on this machine.",
            ),
        ],
    )


def lattice_table(layers: dict[str, list[dict[str, Any]]]) -> report.Table:
    """Predicted and measured lattices of every layer, and the errors on and off them."""
    steps = ("alone_predicted", "alone_measured", "predicted", "measured")
    headings = ("alone: predicted", "measured", "from the image: predicted", "measured")
    headings += ("largest error on it", "mean off it, before", "after, translated")
    errors = ("error_on", "error_off", "error_off_translated")
    return report.Table(
        ["convolution", "layer", *headings],
        [
            [
                conv,
                layer["name"],
                *("–" if layer[key] is None else " x ".join(map(str, layer[key])) for key in steps),
                *(report.format_number(layer[key], 2) for key in errors),
            ]
            for conv, row in layers.items()
            for layer in row
        ],
        caption="Lattices of exact translations as smallest steps: of each layer alone, in "
        "positions of its own input, and of the network up to it, in pixels.",
    )
