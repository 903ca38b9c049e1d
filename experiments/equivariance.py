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
from collections.abc import Iterator, Sequence
from typing import Any

from cnnjax.models.choice import Convolution
from cnnjax.run.config import Distinct, Positive, Seed, StudyConfig, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import significant
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import numpy as np
    from matplotlib import figure

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
    some, _ = task.test.read(np.arange(min(config.error_images, len(task.test))))
    images, side = task.place(some), task.shape[0]
    for cell in record.each(conv=config.conv, training=tuple(TRAINING), seed=config.seeds):
        model = models.ConvNet(
            task.classes, cell["conv"].layer(), config.features, config.strides, config.kernel_size
        )
        network = task.network(model, config.train)
        if cell["training"] == "none":
            state = network.initial(cell["seed"])
            measured = lattices(network, state)
        else:
            positions = side if cell["training"] == "translated" else 1
            state = network.train(record, cell, translation=positions)
            measured = {}
        outputs = network.function("outputs")
        errors = symmetry.errors_over_shifts(outputs, images, state.variables)
        record.observe(
            cell,
            accuracy_centred=network.accuracy(state),
            accuracy_translated=network.accuracy(
                state, repeats=config.translations, translation=side
            ),
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            # Over all shifts but the zero shift.
            error={name: error.ravel()[1:].mean() for name, error in errors.items()},
            errors=errors,
            **measured,
        )
    page(record.observations(), record)


def lattices(network: tasks.Network, state: Any) -> dict[str, Any]:
    """Lattices of every layer, predicted from the image, and predicted and measured alone."""
    predicted = network.model.predicted_lattices(network.task.shape[:2])
    convs = [network.function("layer", index) for index in range(len(network.model.features))]
    alone = symmetry.layer_lattices(convs, (2, *network.task.shape), state.variables)
    return {
        "predicted": {name: each["network"] or () for name, each in predicted.items()},
        "alone_predicted": {name: each["alone"] or () for name, each in predicted.items()},
        "alone_measured": dict(zip(predicted, [*alone, ()], strict=True)),
    }


def layer_result(found: Observations, name: str) -> dict[str, Any]:
    """Lattices and errors of one layer of one convolution, over seeds and kinds of training."""
    untrained = found.where(training="none")
    steps = {
        key: tuple(untrained.array(f"{key}.{name}")[0].astype(int).tolist()) or None
        for key in ("alone_predicted", "alone_measured", "predicted")
    }
    errors = {kind: found.where(training=kind).array(f"errors.{name}") for kind in TRAINING}
    measured = symmetry.lattice_of_errors(np.concatenate(list(errors.values())).max(0))
    lattice = steps["predicted"] or measured
    split = {kind: symmetry.errors_by_lattice(each, lattice) for kind, each in errors.items()}
    return {
        "name": name,
        **steps,
        "measured": measured,
        "step": lattice[1],
        "error_on": max(on for on, _ in split.values()),
        "error_off": split["none"][1],
        "error_off_translated": split["translated"][1],
        "errors_right": {
            words: significant(errors[kind][:, 0]) for kind, words in TRAINING.items()
        },
    }


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    names = [name.removeprefix("error.") for name in found.numbers if name.startswith("error.")]
    layers = {
        conv: [layer_result(group, name) for name in names]
        for conv, group in found.groups("conv").items()
    }
    record.results({**record.task, "rows": found.results(), "layers": layers})
    every = [{"conv": conv, **layer} for conv, row in layers.items() for layer in row]
    claimed = [layer for layer in every if layer["predicted"]]
    agree = sum(layer["predicted"] == layer["measured"] for layer in claimed)
    worst = max((layer["error_on"] for layer in claimed), default=None)
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
                error_against_shift([layer for layer in every if layer["name"] == names[0]]),
                "Equivariance error of the first layer against horizontal shift: mean over seeds, "
                "band from smallest to largest.",
            ),
            report.rows_table(
                every,
                {
                    "convolution": "conv",
                    "layer": "name",
                    "alone: predicted": "alone_predicted",
                    "alone: measured": "alone_measured",
                    "from the image: predicted": "predicted",
                    "from the image: measured": "measured",
                    "largest error on it": "error_on",
                    "mean off it, before": "error_off",
                    "after, translated": "error_off_translated",
                },
                "Lattices of exact translations as smallest steps: of each layer alone, in positions "
                "of its own input, and of the network up to it, in pixels.",
                digits=2,
            ),
            report.Heading("Training and cost"),
            report.Figure(
                "logits_against_shift",
                error_against_shift([layer for layer in every if layer["name"] == names[-1]]),
                "Error of the logits, a lack of invariance, against horizontal shift.",
            ),
            report.summary_table(
                found,
                {
                    "accuracy, centred images (%)": ("accuracy_centred", 100),
                    "accuracy, translated images (%)": ("accuracy_translated", 100),
                    "mean error of the logits": "error.network",
                },
                "conv",
                "training",
                names=TRAINING,
                caption=f"Accuracy on {record.task['test_examples']:,} test images; chance is "
                f"{100 / record.task['classes']:.0f} %.",
            ),
            report.Figure(
                "cost",
                report.bars(report.costs(record, found, "conv")),
                "Parameters, multiply-adds of one image, and training images/s on this machine.",
            ),
        ],
    )


def error_against_shift(layers: Sequence[dict[str, Any]]) -> figure.Figure:
    """Error of a layer against horizontal shift, a panel for each convolution."""
    return report.error_against_shift(
        [report.ShiftPanel(each["conv"], each["errors_right"], each["step"]) for each in layers],
        exact=symmetry.EXACT,
        independent=symmetry.INDEPENDENT,
    )
