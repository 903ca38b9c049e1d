"""How many images does a broken symmetry cost?

A tiled convolution of tile t uses t x t kernels in turn. It commutes with the shifts of a lattice of
t^2 times the index of the standard convolution's (t = 1), and each kernel sees 1/t^2 of the
positions. Prediction: on translated images the number of training images to a test accuracy of
90 % grows as the index, n_90 = c t^2; on centred images it does not depend on t.

One circular network of three layers is trained from each convolution at a constant learning rate,
chosen by --tune on validation images after half its budget. Its averaged parameters are evaluated
on test images after 800, 1,600, 3,200, ... training images, counted as often as they are shown;
n_90 is interpolated in log images, and missing where the budget ends below 90 %. Exponent: slope of
log n_90 on log t for each seed, over the tiles with which every seed reached 90 %. Variants of the
plain tiled network, which has as many channels and multiply-adds as the standard one: tied, kernels
start equal, as those of the standard network of that seed; narrow, channels divided by t, about as
many weights as the standard network; phases, kernels replaced by their mean every 10 updates.

Whether kernels become or stay equal: their sharing defect ||K - mean K||^2 / ||K||^2, output
channels matched, beside that of kernels drawn anew. Input channels above the first layer follow the
outputs below, which matching leaves aside: there it is an upper bound.

    python launch.py weight_sharing                      digits, 3 seeds: 10 minutes, 2 CPU cores
    python launch.py weight_sharing smoke                seconds
    python launch.py weight_sharing full --data-dir DIR  MNIST, 5 seeds, for an accelerator
    python launch.py weight_sharing --tune               choose the learning rates, 10 minutes

Source: Pogodin et al., Towards biologically plausible convolutional networks, 2021 (phases);
Elsayed et al., Revisiting spatial invariance with low-rank local connectivity, 2020 (low rank).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cnnjax.models.choice import Convolution
from cnnjax.run.cells import SEED, Cell, arm_name
from cnnjax.run.config import Distinct, Positive, Requirement, StudyConfig, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import significant, summarize
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import numpy as np

    from cnnjax import inspect, layers, models, report, symmetry, tasks
    from cnnjax.run import metrics

Level = Annotated[float, Requirement(lambda x: 0 < x < 1, "above 0 and below 1")]
Variant = Literal["tied", "narrow", "phases"]
VARIANTS = {"tiled": ("tied", "narrow", "phases"), "local": ("tied", "phases")}
"""Those that a convolution can have."""
NAMES = {"tied": "tied start", "phases": "phases of sharing"}
"""Words for variants."""
STANDARD = Convolution("standard")
PHASES = "cnnjax.train.weight_sharing:adam_with_phases"
WHEN = {"before": "at the start", "after": "trained", "anew": "drawn anew"}
"""Kernels whose sharing defect is measured; the last are those of the seed and so much more:"""
ANEW = 10**9


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """What to compare, on what, for how long."""

    conv: Distinct[Convolution] = (
        STANDARD,
        *(Convolution("tiled", {"tile": tile}) for tile in (2, 4)),
    )
    """Convolutions to compare: the standard one, tiled ones, and others."""
    variants: tuple[Variant, ...] = ("tied", "narrow", "phases")
    """Variants beside the plain networks, on translated images."""
    levels: Distinct[Level] = (0.9, 0.8)
    """Test accuracies that are to be reached."""
    budget_factors: dict[str, Positive] = dataclasses.field(default_factory=dict)
    """Steps of each arm on translated images in units of train.steps; else 1."""
    canvas: Positive = 32
    """Height and width of the canvas in pixels; images of less than 16 are doubled in size."""
    features: tuple[Positive, ...] = (8, 16, 32)
    """Output channels of each layer."""
    strides: tuple[Positive, ...] = (1, 2, 2)
    """Strides of each layer."""
    kernel_size: Positive = 3
    """Height and width of every kernel."""
    translations: Positive = 4
    """Random positions at which each test image is classified."""
    train: TrainConfig = TrainConfig(
        steps=400,
        batch_size=32,
        learning_rate=1e-2,
        schedule="constant",
        warmup_steps=20,
        ema_decay=0.95,
        log_every=400,
        eval_every=25,
        eval_doubling=True,
    )
    """How to train the standard network; the others as it, but for rate and steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layers(self)
        if self.train.schedule != "constant":
            raise ValueError(f"train.schedule must be constant, got {self.train.schedule!r}.")
        tiles = [conv.arguments.get("tile", 2) for conv in self.conv if conv.name == "tiled"]
        if STANDARD not in self.conv or not tiles:
            raise ValueError(f"conv must have standard and tiled ones, got {self.conv}.")
        for tile in tiles:
            if not isinstance(tile, int) or self.canvas % (math.prod(self.strides) * tile):
                raise ValueError(
                    f"conv.tile must be a number that divides every map of a canvas of "
                    f"{self.canvas} with strides {self.strides}, got {tile}."
                )

    @property
    def networks(self) -> list[dict[str, Any]]:
        """The factors of the networks that are trained on translated images."""
        return [
            {"conv": conv, "variant": variant}
            for conv in self.conv
            for variant in ("plain", *self.variants)
            if variant == "plain" or variant in VARIANTS.get(conv.name, ())
        ]


PRESETS = {
    "default": Config(
        budget_factors={"tiled(tile=2) plain": 4, "tiled(tile=4) plain": 8}
        | {f"tiled(tile={tile}) {variant}": 4 for tile in (2, 4) for variant in ("tied", "narrow")}
    ),
    "smoke": Config(
        conv=(STANDARD, Convolution("tiled", {"tile": 2})),
        variants=("tied",),
        levels=(0.15,),
        budget_factors={"tiled(tile=2) plain": 2},
        seeds=(0,),
        canvas=24,
        features=(4, 4),
        strides=(1, 2),
        translations=1,
        train=dataclasses.replace(Config.train, steps=20, eval_every=5),
    ),
    "full": Config(
        data="mnist",
        conv=(
            *Config.conv,
            Convolution("tiled", {"tile": 8}),
            *(Convolution("low_rank", {"rank": r, "mixing_std": 0.0}) for r in (1, 2, 3, 4)),
            *(Convolution("low_rank", {"rank": r}) for r in (2, 3, 4)),
            Convolution("local"),
        ),
        budget_factors={"local plain": 64, "local tied": 64}
        | {f"tiled(tile={t}) {v}": t**2 for t in (2, 4, 8) for v in ("plain", "tied", "narrow")},
        seeds=(0, 1, 2, 3, 4),
        train=dataclasses.replace(Config.train, steps=512, batch_size=200, eval_every=4),
    ),
}


def training_of(config: Config, cell: Mapping[str, Any]) -> TrainConfig:
    """How to train the network of a cell."""
    train = config.train_for(cell, "conv", "variant")
    factor = config.budget_factors.get(arm_name([cell["conv"], cell["variant"]]), 1)
    if config.tune:
        factor = max(1, factor // 2)
    if cell.get("training") == "centred":
        factor = 1
    optimizer = PHASES if cell["variant"] == "phases" else train.optimizer
    return dataclasses.replace(train, steps=factor * train.steps, optimizer=optimizer)


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    side = task.shape[0]

    def network_of(cell: Mapping[str, Any]) -> tasks.Network:
        divisor = cell["conv"].arguments.get("tile", 2) if cell["variant"] == "narrow" else 1
        channels = tuple(max(1, round(each / divisor)) for each in config.features)
        conv = cell["conv"].layer()
        model = models.ConvNet(task.classes, conv, channels, config.strides, config.kernel_size)
        return task.network(model, training_of(config, cell))

    def train(cell: Cell, split: Literal["validation", "test"], positions: int) -> Any:
        """The network of a cell, its state after training, and what evaluates it as in training."""
        network = network_of(cell)
        if cell["variant"] == "tied":
            banks = network.initial(cell[SEED]).params
            start = layers.tied_banks(standard.initial(cell[SEED]).params, banks)
            network = network.starting_from({"params": start})
        repeats = config.translations if positions > 1 else 1
        scores = network.scores(repeats=repeats, translation=positions)
        evaluate = functools.partial(scores, split=split)
        state = network.train(record, cell, evaluate=evaluate, translation=positions)
        return network, state, functools.partial(scores, state)

    standard = network_of({"conv": STANDARD, "variant": "plain"})
    if config.tune:
        arms = config.networks
        tune(config, record, lambda cell: train(cell, "validation", side)[2], arm=arms)
        report.write_tuning_page(record, __doc__)
        return
    images = task.place(task.test.read(np.arange(2))[0])
    centred = {"conv": config.conv, "variant": "plain", "training": "centred"}
    for cell in itertools.chain(
        record.each(network=config.networks, training="translated", seed=config.seeds),
        record.each(**centred, seed=config.seeds),
    ):
        network, state, _ = train(cell, "test", side if cell["training"] == "translated" else 1)
        before = network.initial(cell[SEED]).params
        anew = network.starting_from(None).initial(cell[SEED] + ANEW).params
        curve = metrics.learning_curves(record.read_metrics())[cell.name]["eval_accuracy"]
        seen = config.train.batch_size * np.asarray(curve["steps"])
        index = lattice_index(network) // lattice_index(standard)
        errors = {}
        if (cell["variant"], cell["training"]) == ("plain", "translated"):
            layer = network.function("layer", 0)
            over_shifts = symmetry.errors_over_shifts(layer, images, {"params": before})
            errors = {"errors": significant(over_shifts[0])}
        record.observe(
            cell,
            tile=math.isqrt(index) if cell["conv"].name in ("standard", "tiled") else None,
            index=index,
            needed={
                f"{100 * level:g}": inspect.examples_to_reach(seen, curve["values"], level)
                for level in config.levels
            },
            accuracy=curve["values"][-1],
            images=int(seen[-1]),
            curve=np.stack([seen, significant(curve["values"])]),
            defect={
                "before": symmetry.matched_defects(before),
                "after": symmetry.matched_defects(state.variables["params"]),
                "anew": symmetry.matched_defects(anew),
            },
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            learning_rate=network.training.config.learning_rate,
            **errors,
        )
    page(record.observations(), record)


def lattice_index(network: tasks.Network) -> int:
    """Index of the lattice of shifts that the logits should be invariant to."""
    lattice = network.model.predicted_lattices(network.task.shape[:2])["network"]["network"]
    return math.prod(lattice or network.task.shape[:2])


def exponents(found: Observations, levels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Exponent in t of each level, variant and training; t = 1 is the plain network of all."""
    rows = []
    for (variant, training), group in found.groups("variant", "training").items():
        plain = found.where(conv="standard", training=training)
        for level, number in levels.items():
            needed: dict[float, dict[int, float | None]] = {}
            for row in (*plain.rows, *group.rows):
                if row.get("tile"):
                    needed.setdefault(row["tile"], {})[row[SEED]] = row.get(number)
            tiles, slopes = inspect.power_laws(needed)
            row = {"variant": NAMES.get(variant, variant), "images": training, "level": level}
            row |= {"exponent": summarize(slopes) if slopes else None}
            rows.append({**row, "tiles": report.listed(tiles) or report.MISSING})
    return rows


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    levels = {f"{100 * each:g} %": f"needed.{100 * each:g}" for each in record.config["levels"]}
    slopes = exponents(found, levels)
    moved = found.where(training="translated")
    plain = moved.where(variant="plain")
    named = {
        row["conv"]: f"t = {row['tile']}" if row.get("tile") else row["conv"] for row in plain.rows
    }
    tiled = sorted((row for row in plain.rows if row.get("tile")), key=operator.itemgetter("tile"))
    curves = {key: group.array("curve") for key, group in moved.groups("conv", "variant").items()}
    errors = {named[conv]: each.array("errors") for conv, each in plain.groups("conv").items()}
    kept = {"curves": {" ".join(key): curve for key, curve in curves.items()}, "errors": errors}
    record.results({**record.task, "rows": found.results(), "exponents": slopes, **kept})
    said = [
        f"to {row['level']} on {row['images']} images "
        f"{report.format_summary(row['exponent']) if row['exponent'] else 'unknown'} "
        f"(t = {row['tiles']})"
        for row in slopes
        if row["variant"] == "plain"
    ]
    needed = {f"images to {each}": n for each, n in levels.items() if n in found.numbers}
    defects = [name for name in moved.numbers if name.startswith("defect.")]
    banked = moved.where(conv=tuple(r["conv"] for r in moved.rows if r.get(defects[0]) is not None))
    report.write_page(
        record,
        __doc__,
        [
            f"Exponent of the training images in t: {'; '.join(said)}.",
            report.setting(record, found),
            report.Figure(
                "price",
                report.collapse(
                    errors,
                    [
                        report.Curve(named[conv], x[0, 0], 100 * x[:, 1], NAMES.get(variant, ""))
                        for (conv, variant), x in curves.items()
                        if variant in ("plain", "tied")
                    ],
                    {named[row["conv"]]: row["index"] for row in plain.rows},
                    ordered=[named[row["conv"]] for row in tiled],
                    exact=symmetry.EXACT,
                    levels=[100 * level for level in record.config["levels"]],
                ),
                "Left: equivariance error of the untrained first layer against horizontal shift, "
                "exactly zero at dots. Middle: accuracy on test images at random positions, mean "
                "over seeds, band from smallest to largest. Right: plain networks alone, images "
                "divided by the index of the lattice: one curve if they grow as the index.",
            ),
            report.Heading("Images that are needed"),
            report.rows_table(
                slopes,
                {name: name for name in ("variant", "images", "level", "exponent", "tiles")},
                "Slope of log images on log t, over the tiles t with which every seed reached the "
                f"level: {report.over_seeds(len(found.seeds))}; a dash for fewer than two tiles.",
            ),
            report.summary_table(
                found,
                {
                    **needed,
                    "accuracy at the end (%)": ("accuracy", 100),
                    "images": "images",
                    "learning rate": report.learning_rate,
                    "parameters": "parameters",
                    "multiply-adds": "multiply_adds",
                },
                names=NAMES,
                caption=f"Accuracy on {record.task['test_examples']:,} test images placed as in "
                "training. No number where a level was not reached within the images: none is "
                "extrapolated.",
            ),
            report.difference_table(
                banked,
                needed,
                "variant",
                "plain",
                names=NAMES,
                caption="Images that a variant needs more.",
            ),
            report.Heading("Do kernels become equal, do they stay so?"),
            report.summary_table(
                banked,
                {f"{name.split('.', 2)[2]}, {WHEN[name.split('.')[1]]}": name for name in defects},
                "conv",
                "variant",
                names=NAMES,
                caption="Sharing defect of averaged parameters, output channels matched: 0 for "
                "equal kernels. Above the first layer an upper bound.",
            ),
        ],
    )
