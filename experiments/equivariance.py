"""Which translations does each convolution commute with, what does training on translated images teach those that do not, and what does it cost?

One circular network of three layers is built from each convolution, from full weight sharing
(standard) through partial sharing (tiled, low-rank) to none (local), and trained on centred or on
randomly translated images. Of the low-rank layers one starts as a convolution (mixing_std=0), after
Elsayed et al., 2020, one as a mixture. Rates are chosen on translated validation images. The error

    ||f(S_m x) - S_m f(x)|| / ||f(x)||

of every layer is measured before and after training at every circular shift S_m of test images, and
the change of the logits in units of that to another image (0: invariant), beside that by noise.

    python launch.py equivariance                        digits, 3 seeds: 5 minutes, 2 CPU cores
    python launch.py equivariance smoke                  seconds
    python launch.py equivariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator
    python launch.py equivariance --tune                 choose the learning rates, 5 minutes
    python launch.py equivariance --conv my_module:Mine  a convolution of your own

Expected: each lattice of all networks, trained or not, is the predicted one (standard: the stride;
tiled: stride times tile, after three layers 4, 8, 16, 32 pixels for tiles of 1, 2, 4, 8; low-rank,
local: the zero shift only), with errors of at most 1e-5 on it, of untrained first layers, tiled or
local, about sqrt(2) off; mixing_std=0 starts with those of a convolution. Seen, 3 seeds: training
on translated, not centred, images alters the change of the logits by -0.14 +- 0.11 (standard),
-0.15 +- 0.14 (mixing_std=0), -0.25 +- 0.26, 0.05 +- 0.31, 0.23 +- 0.13 (tiles 2, 4, 8),
0.45 +- 0.41 (local), unfinished: standard ones are right on 69 +- 24 % of translated images, one
low_rank(rank=2) learned nothing; 4 of 7 rates are at an end of the three tried.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from cnnjax.models.choice import Convolution
from cnnjax.run.cells import Cell
from cnnjax.run.config import Distinct, Positive, StudyConfig, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import finite, significant
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import numpy as np
    from matplotlib import figure

    from cnnjax import models, report, symmetry, tasks

FAMILY = (
    Convolution("standard"), *(Convolution("tiled", {"tile": tile}) for tile in (2, 4, 8)),
    Convolution("low_rank", {"rank": 2, "mixing_std": 0.0}), Convolution("low_rank", {"rank": 2}),
    Convolution("local"),
)  # fmt: skip
TRAINING = {
    "none": "before training",
    "centred": "trained on centred images",
    "translated": "trained on translated images",
}


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """What to compare, on what, for how long."""

    conv: Distinct[Convolution] = FAMILY
    """Convolutions to compare, by name or import path: --conv tiled --conv.tile 2 --conv local."""
    canvas: Positive = 32
    """Height and width of the canvas in pixels; images of less than 16 are doubled in size."""
    features: tuple[Positive, ...] = (4, 8, 16)
    """Output channels of each layer."""
    strides: tuple[Positive, ...] = (1, 2, 2)
    """Strides of each layer."""
    kernel_size: Positive = 3
    """Height and width of every kernel."""
    error_images: Positive = 2
    """Test images on which the equivariance error of layers is measured."""
    logit_images: Positive = 64
    """Test images on which the change of the logits is measured."""
    translations: Positive = 4
    """Random positions at which each image is classified for the translated accuracy."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=1e-2, warmup_steps=20, log_every=50, eval_every=50
    )
    """How to train, the same for all but for the learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layers(self)
        for conv in self.conv:
            for name in {"features", "kernel_size", "strides", "padding"} & set(conv.arguments):
                raise ValueError(f"conv must not have {name!r}, which all share, got {conv}.")


PRESETS = {
    # The rates that --tune chose, see results/equivariance/tuning.
    "default": Config(rate_factors={
        "tiled(tile=2)": 3, "low_rank(rank=2)": 3, "tiled(tile=8)": 0.333, "local": 0.333
    }),
    "smoke": Config(
        conv=FAMILY[:2], seeds=(0,), canvas=24, features=(4, 4), strides=(1, 2),
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20, eval_every=20),
    ),
    "full": Config(
        data="mnist", seeds=(0, 1, 2, 3, 4), features=(8, 16, 32), kernel_size=5, error_images=32,
        train=TrainConfig(
            steps=4000, batch_size=256, learning_rate=2e-3, warmup_steps=200, eval_every=500
        ),
    ),
}  # fmt: skip


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    side, shape = task.shape[0], (config.features, config.strides, config.kernel_size)

    def network_of(cell: Cell) -> tasks.Network:
        model = models.ConvNet(task.classes, cell["conv"].layer(), *shape)
        return task.network(model, config.train_for(cell, "conv"))

    def train(cell: Cell, positions: int = side) -> Any:
        """The trained state of a cell, and what evaluates it on images placed as in training."""
        network = network_of(cell)
        repeats = config.translations if positions > 1 else 1
        scores = network.scores(repeats=repeats, translation=positions)
        state = network.train(record, cell, evaluate=scores, translation=positions)
        return state, functools.partial(scores, state)

    if config.tune:
        tune(config, record, lambda cell: train(cell)[1], conv=config.conv)
        report.write_tuning_page(record, __doc__)
        return
    images = task.place(task.test.read(np.arange(min(config.logit_images, len(task.test))))[0])
    everywhere: dict[str, Any] = {"repeats": config.translations, "translation": side}
    for cell in record.each(conv=config.conv, training=tuple(TRAINING), seed=config.seeds):
        network = network_of(cell)
        if cell["training"] == "none":
            state = network.initial(cell["seed"])
            measured = lattices(network, state)
        else:
            state, _ = train(cell, side if cell["training"] == "translated" else 1)
            measured = {"learning_rate": network.training.config.learning_rate}
        outputs, few = network.function("outputs"), images[: config.error_images]
        errors = symmetry.errors_over_shifts(outputs, few, state.variables)
        changes = symmetry.changes_over_shifts(network.function(), images, state.variables)
        record.observe(
            cell,
            accuracy_centred=network.accuracy(state),
            accuracy_translated=network.accuracy(state, **everywhere),
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            error={name: error.ravel()[1:].mean() for name, error in errors.items()},
            errors=errors,
            change={kind: finite(change[1:].mean()) for kind, change in changes.items()},
            changes=changes,
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
    """Lattices and errors of one layer; `right`, errors or change of logits, is drawn by shift."""
    untrained = found.where(training="none")
    steps = {
        key: tuple(untrained.array(f"{key}.{name}")[0].astype(int).tolist()) or None
        for key in ("alone_predicted", "alone_measured", "predicted")
    }
    errors = {kind: found.where(training=kind).array(f"errors.{name}") for kind in TRAINING}
    measured = symmetry.lattice_of_errors(np.concatenate(list(errors.values())).max(0))
    lattice = steps["predicted"] or measured
    split = {kind: symmetry.errors_by_lattice(each, lattice) for kind, each in errors.items()}
    right = {kind: each[:, 0] for kind, each in errors.items()}
    if name == "network":
        changes = {kind: found.where(training=kind).array("changes.shift") for kind in TRAINING}
        right = {kind: each[np.isfinite(each).all(1)] for kind, each in changes.items()}
    return {
        "name": name,
        **steps,
        "measured": measured,
        "step": lattice[1],
        "error_on": max(on for on, _ in split.values()),
        "error_off": split["none"][1],
        "error_off_translated": split["translated"][1],
        "right": {TRAINING[kind]: significant(each) for kind, each in right.items() if len(each)},
    }


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    names = [name.removeprefix("error.") for name in found.numbers if name.startswith("error.")]
    every = [
        {"conv": conv, **layer_result(group, name)}
        for conv, group in found.groups("conv").items()
        for name in names
    ]
    record.results({**record.task, "rows": found.results(), "layers": every})
    claimed = [layer for layer in every if layer["predicted"]]
    agree = sum(layer["predicted"] == layer["measured"] for layer in claimed)
    (_, side, _), few = record.task["image_shape"], record.config["error_images"]
    more = [layer["error_on"] for layer in claimed if layer["step"] < side]
    alone = [each["conv"] for each in every if each["alone_predicted"] != each["alone_measured"]]
    sides = [[{"training": kind}] for kind in ("translated", "centred")]
    altered = [
        f"{conv} {report.format_contrast(group.contrast('change.shift', *sides))}"
        for conv, group in found.groups("conv").items()
    ]
    moved, chance = found.where(training="translated"), 1.1 / record.task["classes"]
    failed = [str(c) for c, r in zip(moved.cells, moved.rows) if r["accuracy_translated"] < chance]
    report.write_page(
        record,
        __doc__,
        [
            f"{agree} of {len(claimed)} lattices are the predicted ones, of untrained and trained "
            f"networks together; {len(more)} have more than the zero shift, largest error on them "
            f"{report.format_number(max(more, default=None), 2)} on {few} test images. Larger "
            f"before training: {report.listed(dict.fromkeys(alone)) or 'none'}. Training on "
            "translated rather than centred images alters the change of the logits by: "
            f"{', '.join(altered)}. At chance then: {'; '.join(failed) or 'none'}.",
            report.setting(record, found),
            report.Heading("Symmetry"),
            report.Figure(
                "error_against_shift",
                shift_figure(every, names[0], symmetry.INDEPENDENT),
                "Equivariance error of the first layer against horizontal shift, on "
                f"{few} test images: mean over seeds, band from smallest to largest.",
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
                "Smallest steps of exact translation: of each untrained layer alone, in positions "
                "of its input; of the network up to it, trained or not, in pixels.",
                digits=2,
            ),
            report.Heading("Training and cost"),
            report.Figure(
                "learning_curves",
                report.learning_curves(report.curves_of(record, moved, "conv")),
                "Trained on translated images: batches, and validation images at random positions.",
            ),
            report.summary_table(
                found,
                {
                    "learning rate": report.learning_rate,
                    "accuracy, centred images (%)": ("accuracy_centred", 100),
                    "accuracy, translated images (%)": ("accuracy_translated", 100),
                    "change of the logits by shifts": "change.shift",
                    "by noise of equal norm": "change.noise",
                    "parameters": "parameters",
                    "multiply-adds": "multiply_adds",
                },
                names=TRAINING,
                caption=f"Accuracy on {record.task['test_examples']:,} test images; chance is "
                f"{100 / record.task['classes']:.0f} %. Change of the logits: mean over horizontal "
                "shifts, 0 invariant, 1 as another image.",
            ),
            report.difference_table(
                found.where(training=("centred", "translated")),
                {"accuracy, translated (points)": ("accuracy_translated", 100)},
                "conv",
                found.values("conv")[0],
                names=TRAINING,
            ),
            report.Figure(
                "logits_against_shift",
                shift_figure(every, "network", 1.0, "another image", "change of the logits"),
                "Change of the logits against horizontal shift, drawn in the same way.",
            ),
        ],
    )


def shift_figure(layers: list[dict[str, Any]], name: str, *reference: Any) -> figure.Figure:
    """What is drawn of one layer against horizontal shift, a panel for each convolution."""
    chosen = [each for each in layers if each["name"] == name]
    panels = [report.ShiftPanel(each["conv"], each["right"], each["step"]) for each in chosen]
    return report.error_against_shift(panels, symmetry.EXACT, *reference)
