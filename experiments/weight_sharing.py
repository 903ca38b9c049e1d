"""How many images does a broken symmetry cost?

A tiled convolution of tile t uses t x t kernels in turn, and commutes with the shifts of a lattice
of t^2 times the index of the standard convolution's (t = 1). Hypothesis: on translated images the
images shown until 90 % test accuracy grow as the index, n_90 = c t^2; on centred ones not at all.

Seen, 3 seeds: neither holds. On translated images the exponent of n_90 in t is 0.85 +- 0.54 from 1
to 2 and 2.08 +- 0.23 from 2 to 4, more by 1.23 +- 0.72: no power law; with phases -0.24 +- 0.66,
then 0.65 +- 0.75. On centred images n_90 falls: -0.89 +- 0.48, -0.50 +- 1.24. Weights grow with t,
too: 6,218, 23,882, 94,538; with as few (narrow) t = 2 reached 90 % in 1 of 3 seeds, t = 4 80 % in
none. Rates differ from arm to arm; in 7 of 12 the lowest of three tried was the best.

One circular network of three layers is trained from each convolution at a constant learning rate,
chosen by --tune on validation images after half its budget, where that is above the standard one's.
Its averaged parameters are evaluated on test images after 800, 1,600, 3,200, ... images shown; n_90
is interpolated in log images, if every seed reaches 90 % within the budget. Variants of the tiled
network: tied, kernels start equal, as those of the standard network of that seed; phases, the same,
and kernels replaced by their mean every 10 updates, after Pogodin et al., 2021; narrow, channels
divided by t, with fewer multiply-adds than all others.

    python launch.py weight_sharing                      digits, 3 seeds: 10 minutes, 2 CPU cores
    python launch.py weight_sharing smoke                seconds
    python launch.py weight_sharing full --data-dir DIR  MNIST, 5 seeds, for an accelerator
    python launch.py weight_sharing --tune               choose the learning rates, 15 minutes
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, Literal

from cnnjax.models.choice import Convolution
from cnnjax.run.cells import SEED, Cell, arm_name
from cnnjax.run.config import Distinct, Fraction, Positive, StudyConfig, require_layers
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

Variant = Literal["tied", "narrow", "phases"]
NAMES = {"tied": "tied start", "phases": "phases of sharing"}
OPTIMIZERS = {"phases": "cnnjax.train.weight_sharing:adam_with_phases"}
TILES = {"standard": 1, "tiled": 2}
ARM = ("conv", "variant", "training")
STANDARD = Convolution("standard")
LOW_RANK = [Convolution("low_rank", {"rank": r, "mixing_std": 0.0}) for r in (1, 2, 3, 4)]
LOW_RANK += [Convolution("low_rank", {"rank": r}) for r in (2, 3, 4)]
TILED = tuple(Convolution("tiled", {"tile": tile}) for tile in (2, 4, 8))
WHEN = {"before": "at the start", "after": "trained", "anew": "drawn anew"}


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """What to compare, on what, for how long."""

    conv: Distinct[Convolution] = (STANDARD, *TILED[:2])
    """Convolutions to compare: the standard one, tiled ones, and others."""
    variants: tuple[Variant, ...] = ("tied", "narrow", "phases")
    """Variants of the tiled networks beside the plain ones, on translated images."""
    levels: Distinct[Fraction] = (0.9, 0.8)
    """Test accuracies that are to be reached."""
    budget_factors: dict[str, Positive] = dataclasses.field(default_factory=dict)
    """Steps of each arm on translated images in units of train.steps; else 1."""
    canvas: Positive = 32
    """Height and width of the canvas in pixels; images of less than 16 are doubled in size."""
    features: tuple[Positive, ...] = (8, 16, 32)
    """Output channels of each layer."""
    strides: tuple[Positive, ...] = (1, 2, 2)
    """Strides of each layer."""
    translations: Positive = 4
    """Random positions at which each test image is classified."""
    train: TrainConfig = TrainConfig(
        steps=400, batch_size=32, learning_rate=1e-2, schedule="constant", warmup_steps=20,
        ema_decay=0.95, eval_every=25, eval_doubling=True,
    )  # fmt: skip
    """How to train the standard network; the others as it, but for rate and steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layers(self)
        if self.train.schedule != "constant":
            raise ValueError(f"train.schedule must be constant, got {self.train.schedule!r}.")
        tiles = [conv.arguments.get("tile", 2) for conv in self.conv if conv.name == "tiled"]
        if STANDARD not in self.conv or not tiles:
            raise ValueError(f"conv must have standard and tiled ones, got {self.conv}.")
        if self.canvas % (size := math.prod(self.strides) * math.lcm(*tiles)):
            raise ValueError(f"canvas must be a multiple of {size}, got {self.canvas}.")

    @property
    def networks(self) -> list[dict[str, Any]]:
        """Factors of the networks: plain ones on both kinds of images, variants on translated."""
        arms = []
        for conv in self.conv:
            variants = ("plain", *(self.variants if conv.name == "tiled" else ()))
            arms += [(conv, variant, "translated") for variant in variants]
            arms += [(conv, "plain", "centred")]
        return [dict(zip(ARM, arm, strict=True)) for arm in arms]


# Arms on translated images whose rate --tune chose lower: see results/weight_sharing/tuning.
LOWER = ("standard plain", "tiled(tile=4) plain", "tiled(tile=2) tied", "tiled(tile=4) tied")
PRESETS = {
    "default": Config(
        rate_factors={f"{arm} translated": 0.333 for arm in LOWER}
        | {f"{conv} plain centred": 0.333 for conv in (STANDARD, *TILED[:2])},
        budget_factors={"tiled(tile=2) tied translated": 2, "tiled(tile=4) plain translated": 8}
        | {f"tiled(tile=2) {variant} translated": 4 for variant in ("plain", "narrow")}
        | {f"tiled(tile=4) {variant} translated": 4 for variant in ("tied", "narrow")},
    ),
    "smoke": Config(
        conv=(STANDARD, TILED[0]),
        variants=("tied",),
        levels=(0.15,),
        budget_factors={"tiled(tile=2) plain translated": 2},
        seeds=(0,),
        features=(4, 4),
        strides=(1, 2),
        train=dataclasses.replace(Config.train, steps=20, warmup_steps=0, eval_every=5),
    ),
    "full": Config(
        data="mnist",
        conv=(STANDARD, *TILED, *LOW_RANK, Convolution("local")),
        budget_factors={
            f"{conv} {variant} translated": 4**power
            for power, conv in enumerate(TILED, 1)
            for variant in ("plain", "tied", "narrow")
        }
        | {"local plain translated": 64},
        seeds=(0, 1, 2, 3, 4),
        train=dataclasses.replace(Config.train, steps=512, batch_size=200, eval_every=4),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)

    def network_of(cell: Mapping[str, Any]) -> tasks.Network:
        divisor = cell["conv"].arguments.get("tile", 2) if cell["variant"] == "narrow" else 1
        channels = tuple(max(1, round(each / divisor)) for each in config.features)
        model = models.ConvNet(task.classes, cell["conv"].layer(), channels, config.strides, 3)
        how = config.train_for(cell, *ARM)
        factor = config.budget_factors.get(arm_name([cell[each] for each in ARM]), 1)
        steps = how.steps * (max(1, factor // 2) if config.tune else factor)
        optimizer = OPTIMIZERS.get(cell["variant"], how.optimizer)
        return task.network(model, dataclasses.replace(how, steps=steps, optimizer=optimizer))

    def train(cell: Cell, split: Literal["validation", "test"]) -> Any:
        """The network of a cell, its state after training, and what evaluates it as in training."""
        network = network_of(cell)
        if cell["variant"] in ("tied", "phases"):
            banks = network.initial(cell[SEED]).params
            start = layers.tied_banks(standard.initial(cell[SEED]).params, banks)
            network = network.starting_from({"params": start})
        moved = cell["training"] == "translated"
        repeats, positions = (config.translations, task.shape[0]) if moved else (1, 1)
        scores = network.scores(repeats=repeats, translation=positions)
        evaluate = functools.partial(scores, split=split)
        state = network.train(record, cell, evaluate=evaluate, translation=positions)
        return network, state, functools.partial(scores, state)

    standard = network_of({"conv": STANDARD, "variant": "plain", "training": "translated"})
    if config.tune:
        tune(config, record, lambda cell: train(cell, "validation")[2], arm=config.networks)
        report.write_tuning_page(record, __doc__)
        return
    images = task.place(task.test.read(np.arange(2))[0])
    for cell in record.each(network=config.networks, seed=config.seeds):
        network, state, _ = train(cell, "test")
        before = network.initial(cell[SEED]).params
        anew = network.starting_from(None).initial(cell[SEED] + 10**9).params
        kernels = {"before": before, "after": state.variables["params"], "anew": anew}
        layer = network.function("layer", 0)
        errors = symmetry.errors_over_shifts(layer, images, {"params": before})[0]
        curve = metrics.learning_curves(record.read_metrics())[cell.name]["eval_accuracy"]
        seen, accuracies = config.train.batch_size * np.asarray(curve["steps"]), curve["values"]
        tile = cell["conv"].arguments.get("tile", TILES.get(cell["conv"].name))
        reach = functools.partial(inspect.examples_to_reach, seen, accuracies)
        record.observe(
            cell,
            tile=tile,
            index=(tile or config.canvas // math.prod(config.strides)) ** 2,
            needed={f"{100 * level:g}": reach(level) for level in config.levels},
            accuracy=accuracies[-1],
            images=int(seen[-1]),
            curve=np.stack([seen, significant(np.asarray(accuracies))]),
            errors=significant(errors),
            defect={when: symmetry.matched_defects(each) for when, each in kernels.items()},
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            learning_rate=network.training.config.learning_rate,
        )
    page(record.observations(), record)


def exponents(found: Observations, levels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Exponents in t from each tile to the next, by level; t = 1 is the plain network of all."""
    pairs = [*itertools.pairwise(sorted({row["tile"] for row in found.rows if row.get("tile")}))]
    rows = []
    for (variant, training), group in found.groups("variant", "training").items():
        every = [*found.where(conv="standard", training=training).rows, *group.rows]
        for (level, number), (a, b) in itertools.product(levels.items(), pairs):
            two = [row for row in every if row.get("tile") in (a, b)]
            _, slopes = inspect.power_laws(two, "tile", number)
            words = {"variant": variant, "images": training, "level": level, "t": f"{a} to {b}"}
            rows.append({**words, "exponent": summarize(slopes) if slopes else None})
    return rows


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    heights = [100 * level for level in record.config["levels"]]
    levels = {f"{each:g} %": f"needed.{each:g}" for each in heights}
    slopes = exponents(found, levels)
    moved = found.where(training="translated")
    tests = f"{record.task['test_examples']:,} test images"
    plain = moved.where(variant="plain")
    tiled = dict.fromkeys(row["conv"] for row in plain.rows if row.get("tile"))
    curves = {key: group.array("curve") for key, group in moved.groups("conv", "variant").items()}
    errors = {conv: each.array("errors") for conv, each in plain.groups("conv").items()}
    drawn = {"errors": errors, "curves": {" ".join(key): curve for key, curve in curves.items()}}
    shown = [
        report.Curve(conv, x[0, 0], 100 * x[:, 1], NAMES.get(variant, ""))
        for (conv, variant), x in curves.items()
        if variant in ("plain", "tied")
    ]
    scales = {row["conv"]: row["index"] for row in plain.rows}
    lines: Any = {"exact": symmetry.EXACT, "levels": heights, "label": "images shown"}
    record.results({**record.task, "rows": found.results(), "exponents": slopes, **drawn})
    said = [
        f"to {row['level']} on {row['images']} images "
        + (report.format_summary(row["exponent"]) if row["exponent"] else "unknown")
        + f" (t = {row['t']})"
        for row in slopes
        if row["variant"] == "plain"
    ]
    needed = {f"images to {each}": number for each, number in levels.items()}
    cells = {each: functools.partial(report.reached, number=n) for each, n in needed.items()}
    (level, number), *_ = levels.items()
    for conv, group in moved.where(variant="narrow").groups("conv").items():
        said.append(f"to {level} by {conv} with 1/t channels {report.reached(group, number)}")
    defects = [name for name in moved.numbers if name.startswith("defect.")]
    banked = moved.where(conv=tuple(conv for conv in tiled if conv != str(STANDARD)))
    report.write_page(
        record,
        __doc__,
        [
            f"Exponent of the images shown in t: {'; '.join(said)}.",
            report.setting(record, found),
            report.Figure(
                "price",
                report.collapse(errors, shown, scales, ordered=list(tiled), **lines),
                f"Untrained first layer, dots: errors up to 1e-5. {tests} at random positions: "
                f"mean of {report.counted(len(found.seeds), 'seed')}, band from smallest to "
                "largest; dashed: kernels started equal. Index: of the lattice of exact shifts.",
            ),
            report.rows_table(
                slopes,
                {name: name for name in ("variant", "images", "level", "t", "exponent")},
                f"Where every seed reached the level, {report.over_seeds(len(found.seeds))}.",
            ),
            report.summary_table(
                found,
                {
                    **cells,
                    "accuracy at the end (%)": ("accuracy", 100),
                    "images": "images",
                    "learning rate": report.learning_rate,
                    "parameters": "parameters",
                    "multiply-adds": "multiply_adds",
                },
                names=NAMES,
                caption=f"Accuracy on {tests}; the budget in images is each network's own, the "
                "steps above are the standard one's; '1 of 3 seeds' reached the level within it.",
            ),
            report.difference_table(banked, needed, "variant", "plain", names=NAMES),
            report.Heading("Do kernels become equal, do they stay so?"),
            report.summary_table(
                banked,
                {f"{name.split('.', 2)[2]}, {WHEN[name.split('.')[1]]}": name for name in defects},
                *ARM[:2],
                names=NAMES,
                caption="Sharing defect ||K - mean K||^2 / ||K||^2, output channels matched; above "
                "the first layer, whose input channels are the image's, an upper bound.",
            ),
        ],
    )
