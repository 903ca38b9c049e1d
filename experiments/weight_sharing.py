"""How many images does a broken symmetry cost?

A tiled convolution of tile t uses t x t kernels in turn: it commutes with the shifts of a lattice
whose index is t^2 of that of the standard convolution (t = 1), and each of its kernels sees 1/t^2
of the positions. Prediction: on translated images the number of training images to a test accuracy
of 90 % grows as the index, n_90 = c t^2; on centred images it does not depend on t.

One circular network of three layers is trained from each convolution at a constant learning rate,
chosen for each by --tune on validation images at random positions. Its averaged parameters are
evaluated on test images after 800, 1,600, 3,200, ... training images, which count as often as they
are shown; n_90 is interpolated between these in log images, and missing where the budget ends below
90 %. Exponent: least-squares slope of log n_90 on log t, one for each seed, over the tiles with
which every seed reached 90 %. Multiply-adds do not depend on t. Variants of every tiled network:

    plain    as many channels as the standard one, kernels drawn independently
    tied     the same, kernels equal at the start: those of the standard network of that seed
    narrow   channels divided by t: about as many weights as the standard network
    phases   kernels replaced by their mean after every 10 updates (Pogodin et al., 2021)

Whether kernels become or stay equal: their sharing defect ||K - mean K||^2 / ||K||^2 with output
channels matched, beside that of kernels drawn anew. Input channels of layers above the first follow
those below, which matching leaves aside: there it is an upper bound.

    python launch.py weight_sharing                       digits, 3 seeds: 10 minutes, 2 CPU cores
    python launch.py weight_sharing smoke                 seconds
    python launch.py weight_sharing full --data-dir DIR   MNIST, 5 seeds, for an accelerator
    python launch.py weight_sharing --tune                choose the learning rates, 10 minutes

Source: Pogodin, Mehta, Lillicrap, Latham, Towards biologically plausible convolutional networks,
2021 (phases); Elsayed, Ramachandran, Shlens, Kornblith, Revisiting spatial invariance with low-rank
local connectivity, 2020 (low-rank layers, `full`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from cnnjax.models.choice import Convolution
from cnnjax.run.cells import SEED, Cell, arm_name
from cnnjax.run.config import Distinct, Positive, Requirement, StudyConfig, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary, significant, summarize
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import jax.numpy as jnp
    import numpy as np
    from matplotlib import figure

    from cnnjax import inspect, layers, models, report, symmetry, tasks
    from cnnjax.run import metrics

Level = Annotated[float, Requirement(lambda x: 0 < x < 1, "above 0 and below 1")]
Variant = Literal["plain", "tied", "narrow", "phases"]
STANDARD = Convolution("standard")
PHASES = "cnnjax.train.weight_sharing:adam_with_phases"
MATCHED = 64
"""Most positions of a bank whose channels are matched; the work grows with their square."""
REDRAWN = 10**9
"""Added to a seed: that of kernels drawn anew."""
NAMES = {
    "tied": "tied start",
    "narrow": "narrow",
    "phases": "phases of sharing",
}
"""Words for variants."""
WHEN = {"before": "at the start", "after": "trained", "redrawn": "drawn anew"}
"""Kernels whose sharing defect is measured."""


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """What to compare, on what, for how long."""

    conv: Distinct[Convolution] = (
        STANDARD,
        Convolution("tiled", {"tile": 2}),
        Convolution("tiled", {"tile": 4}),
    )
    """Convolutions to compare, the standard one among them."""
    variants: Distinct[Variant] = ("plain", "tied", "narrow", "phases")
    """Variants of those with a bank of kernels, on translated images; plain is on centred, too."""
    levels: Distinct[Level] = (0.9, 0.8)
    """Test accuracies that are to be reached."""
    budget_factors: dict[str, Positive] = dataclasses.field(default_factory=dict)
    """Steps of each arm on translated images in units of train.steps, where not 1."""
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
    """How to train the standard network; the others as it, but for steps and learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layers(self)
        if STANDARD not in self.conv:
            raise ValueError(f"conv must have the standard one, got {self.conv}.")
        if self.train.schedule != "constant":
            raise ValueError(
                "train.schedule must be constant, else a point of the learning curve is no end of "
                f"a training, got {self.train.schedule!r}."
            )

    def networks(self) -> list[dict[str, Any]]:
        """The factors that make a network, but for the seed, in an order that compiles little."""
        found = []
        for conv in self.conv:
            variants = [each for each in self.variants if each == "plain" or applies(each, conv)]
            found += [
                {"conv": conv, "variant": each, "training": "translated"} for each in variants
            ]
            found += [{"conv": conv, "variant": "plain", "training": "centred"}]
        return found


PRESETS = {
    "default": Config(
        budget_factors={"tiled(tile=2) plain": 4, "tiled(tile=4) plain": 8}
        | {f"tiled(tile={tile}) {variant}": 4 for tile in (2, 4) for variant in ("tied", "narrow")}
    ),
    "smoke": Config(
        conv=(STANDARD, Convolution("tiled", {"tile": 2})),
        variants=("plain", "tied"),
        seeds=(0,),
        levels=(0.15,),
        budget_factors={"tiled(tile=2) plain": 2},
        canvas=24,
        features=(4, 4),
        strides=(1, 2),
        translations=1,
        train=dataclasses.replace(
            Config.train, steps=20, warmup_steps=0, log_every=20, eval_every=5
        ),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        conv=(
            STANDARD,
            *(Convolution("tiled", {"tile": tile}) for tile in (2, 4, 8)),
            *(Convolution("low_rank", {"rank": rank, "mixing_std": 0.0}) for rank in (1, 2, 4)),
            *(Convolution("low_rank", {"rank": rank}) for rank in (2, 4)),
            Convolution("local"),
        ),
        budget_factors={
            f"tiled(tile={tile}) {variant}": tile**2
            for tile in (2, 4, 8)
            for variant in ("plain", "tied", "narrow")
        }
        | {f"local {variant}": 64 for variant in ("plain", "tied", "phases")}
        | {f"low_rank(rank={rank}) plain": 4 for rank in (2, 4)},
        train=dataclasses.replace(
            Config.train, steps=512, batch_size=200, learning_rate=5e-3, eval_every=4
        ),
    ),
}


def tile_of(conv: Convolution) -> int | None:
    """t, of a convolution that is standard (1) or tiled."""
    tile = {"standard": 1, "tiled": conv.arguments.get("tile", 2)}.get(conv.name)
    return tile if isinstance(tile, int) else None


def applies(variant: Variant, conv: Convolution) -> bool:
    """Whether there is this variant of a convolution, other than the plain one."""
    if conv.name == "local":
        return variant in ("tied", "phases")
    return conv.name == "tiled" and tile_of(conv) is not None


def channels(config: Config, cell: Mapping[str, Any]) -> tuple[int, ...]:
    """Output channels of each layer of a cell's network."""
    narrower = (tile_of(cell["conv"]) or 1) if cell["variant"] == "narrow" else 1
    return tuple(max(1, round(each / narrower)) for each in config.features)


def training_of(config: Config, cell: Mapping[str, Any]) -> TrainConfig:
    """How to train a cell's network."""
    train = config.train_for(cell, "conv", "variant")
    if cell["variant"] == "phases":
        train = dataclasses.replace(train, optimizer=PHASES)
    factor = config.budget_factors.get(arm_name([cell["conv"], cell["variant"]]), 1)
    if config.tune:
        factor = max(1, factor // 2)
    elif cell["training"] == "centred":
        factor = 1
    return dataclasses.replace(train, steps=factor * train.steps)


def tied(standard: Mapping[str, Any], untied: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a network with banks whose kernels all are those of a standard network.

    Args:
      standard: parameters of the standard network.
      untied: parameters of the network with banks, whose shapes count.
    """

    def embedded(kernel: Any, bank: Any) -> Any:
        tile = bank["kernel"].shape[: bank["kernel"].ndim - kernel["kernel"].ndim]
        return layers.standard_to_tiled(kernel, tile) if tile else kernel

    return {name: embedded(kernel, untied[name]) for name, kernel in standard.items()}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    side = task.shape[0]

    def network_of(cell: Mapping[str, Any]) -> tasks.Network:
        conv, widths = cell["conv"].layer(), channels(config, cell)
        model = models.ConvNet(task.classes, conv, widths, config.strides, config.kernel_size)
        network = task.network(model, training_of(config, cell))
        if cell["variant"] == "tied":
            untied = network.initial(cell[SEED]).params
            network = network.starting_from({"params": tied(starts[cell[SEED]], untied)})
        return network

    def train(cell: Cell, split: Literal["validation", "test"], positions: int) -> Any:
        """The network of a cell, its trained state, and what evaluates it as while it trained."""
        network = network_of(cell)
        repeats = config.translations if positions > 1 else 1
        scores = network.scores(repeats=repeats, translation=positions)
        evaluate = functools.partial(scores, split=split)
        state = network.train(record, cell, evaluate=evaluate, translation=positions)
        return network, state, functools.partial(scores, state)

    standard = network_of({"conv": STANDARD, "variant": "plain", "training": "centred"})
    seeds = config.tuning_seeds if config.tune else config.seeds
    starts = {seed: standard.initial(seed).params for seed in seeds}
    networks = config.networks()
    if config.tune:
        arms = [{name: each[name] for name in ("conv", "variant")} for each in networks]
        arms = [each for number, each in enumerate(arms) if each not in arms[:number]]
        tune(config, record, lambda cell: train(cell, "validation", side)[2], arm=arms)
        report.write_tuning_page(record, __doc__)
        return
    images = task.place(task.test.read(np.arange(2))[0])
    for cell in record.each(network=networks, seed=config.seeds):
        moved = cell["training"] == "translated"
        network, state, _ = train(cell, "test", side if moved else 1)
        before = network.initial(cell[SEED])
        redrawn = network.starting_from(None).initial(REDRAWN + cell[SEED])
        curve = metrics.learning_curves(record.read_metrics())[cell.name]["eval_accuracy"]
        examples = config.train.batch_size * np.asarray(curve["steps"])
        measured = {}
        if moved and cell["variant"] == "plain":
            layer = network.function("layer", 0)
            measured = {"errors": symmetry.errors_over_shifts(layer, images, before.variables)[0]}
        record.observe(
            cell,
            tile=tile_of(cell["conv"]),
            index=lattice_index(network) / lattice_index(standard),
            needed={
                percent(level): inspect.examples_to_reach(examples, curve["values"], level)
                for level in config.levels
            },
            accuracy=curve["values"][-1],
            images=int(examples[-1]),
            examples=examples,
            accuracies=curve["values"],
            defect={
                "before": defects(before.params),
                "after": defects(state.variables["params"]),
                "redrawn": defects(redrawn.params),
            },
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            learning_rate=network.training.config.learning_rate,
            **measured,
        )
    page(record.observations(), record)


def percent(level: float) -> str:
    """A level in percent, `90`."""
    return f"{100 * level:g}"


def lattice_index(network: tasks.Network) -> int:
    """Index of the lattice that the logits should be invariant to, of translations by pixels."""
    space = network.task.shape[:2]
    lattice = network.model.predicted_lattices(space)["network"]["network"]
    return math.prod(lattice or space)


def defects(params: Mapping[str, Any]) -> dict[str, float]:
    """The sharing defect of each layer with a bank of kernels, output channels matched."""
    banks = {
        name: jnp.asarray(leaves["kernel"])
        for name, leaves in params.items()
        if leaves["kernel"].ndim == 6 and np.prod(leaves["kernel"].shape[:2]) <= MATCHED
    }
    return {
        name: float(symmetry.sharing_defect(symmetry.match_channels(bank)))
        for name, bank in banks.items()
    }


def exponent(found: Observations, number: str) -> tuple[Summary | None, list[int]]:
    """Slope of the logarithm of a number on log t over seeds, and the tiles t that it is of.

    Those with which every seed has the number; the slope is None for fewer than two.
    """
    needed = {(row["tile"], row[SEED]): row.get(number) for row in found.rows if row.get("tile")}
    tiles = [
        tile
        for tile in sorted({tile for tile, _ in needed})
        if all(needed.get((tile, seed)) is not None for seed in found.seeds)
    ]
    if len(tiles) < 2:
        return None, tiles
    return summarize(
        [
            inspect.power_law_exponent(tiles, [needed[tile, seed] for tile in tiles])
            for seed in found.seeds
        ]
    ), tiles


def exponents(found: Observations, levels: Sequence[float]) -> list[dict[str, Any]]:
    """The exponent of every variant, training and level; variants have the plain one at t = 1."""
    rows = []
    standard = found.where(conv="standard").rows
    for (variant, training), group in found.groups("variant", "training").items():
        if variant != "plain":
            base = [row for row in standard if row["training"] == training]
            group = Observations([*base, *group.rows], found.factors)
        for level in levels:
            slope, tiles = exponent(group, f"needed.{percent(level)}")
            row = {"variant": variant, "training": training, "level": level}
            rows.append({**row, "exponent": slope, "tiles": tiles})
    return rows


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    levels = record.config["levels"]
    rows = exponents(found, levels)
    curves = [
        {
            **dict(zip(("conv", "variant", "training"), key, strict=True)),
            "name": f"t = {tile}" if (tile := group.rows[0].get("tile")) else str(key[0]),
            "tile": tile,
            "index": group.rows[0]["index"],
            "examples": group.array("examples")[0],
            "accuracies": significant(group.array("accuracies")),
        }
        for key, group in found.groups("conv", "variant", "training").items()
    ]
    first = found.where(variant="plain", training="translated")
    errors = {
        conv: significant(group.array("errors")) for conv, group in first.groups("conv").items()
    }
    observed = found.results("conv", "variant", "training")
    record.results(
        {**record.task, "rows": observed, "exponents": rows, "curves": curves, "errors": errors}
    )
    report.write_page(
        record,
        __doc__,
        [
            lead(rows),
            report.setting(record, found),
            report.Figure(
                "price",
                figure_of(curves, errors, levels),
                "Left: equivariance error of the untrained first layer against horizontal shift; "
                "dots: exactly zero. Middle: accuracy on test images at random positions against "
                "training images, mean over seeds, band from smallest to largest; dashed: kernels "
                "tied at the start. Right: the same of the plain ones against training images over "
                "the index of the lattice; one curve if images grow as the index.",
            ),
            report.Heading("Images that are needed"),
            report.rows_table(
                rows,
                {
                    "variant": "variant",
                    "images": "training",
                    "accuracy (%)": ("level", 100),
                    "exponent": "exponent",
                    "tiles": lambda row: report.listed(row["tiles"]),
                },
                "Exponent a of images = c t^a: slope for each seed, "
                f"{report.over_seeds(len(found.seeds))}, over the tiles t with which every "
                "seed reached the accuracy; a dash for fewer than two.",
            ),
            report.summary_table(
                found,
                {
                    **needed_columns(found, levels),
                    "accuracy at the end (%)": ("accuracy", 100),
                    "images": "images",
                    "learning rate": report.learning_rate,
                    "parameters": "parameters",
                    "multiply-adds": "multiply_adds",
                },
                "conv",
                "variant",
                "training",
                names=NAMES,
                caption=f"Accuracy on {record.task['test_examples']:,} test images, placed as in "
                "training. A network that did not reach an accuracy within its images has no "
                "number, and none is extrapolated.",
            ),
            *compared(found, levels),
            *defect_blocks(found),
        ],
    )


def needed_columns(found: Observations, levels: Sequence[float]) -> dict[str, str]:
    """Headings and numbers of the images to each level that any network reached."""
    numbers = {f"images to {percent(each)} %": f"needed.{percent(each)}" for each in levels}
    return {heading: number for heading, number in numbers.items() if number in found.numbers}


def lead(rows: Sequence[Mapping[str, Any]]) -> str:
    """The sentence of the page: the exponents of the plain networks."""
    said = [
        f"to {percent(row['level'])} % on {row['training']} images "
        f"{report.format_summary(row['exponent'])} (t = {report.listed(row['tiles'])})"
        if row["exponent"]
        else f"to {percent(row['level'])} % on {row['training']} images unknown (every seed reached "
        f"it with {report.listed(f't = {tile}' for tile in row['tiles']) or 'no t'} alone)"
        for row in rows
        if row["variant"] == "plain"
    ]
    return f"Training images grow as a power of the tile t, with exponent {'; '.join(said)}."


def figure_of(
    curves: Sequence[Mapping[str, Any]], errors: Mapping[str, Any], levels: Sequence[float]
) -> figure.Figure:
    """The price of a broken symmetry: error against shift, accuracy against images, rescaled."""
    moved = [each for each in curves if each["training"] == "translated"]
    plain = [each for each in moved if each["variant"] == "plain"]
    ordered = [each["name"] for each in sorted(plain, key=lambda c: c["tile"] or 0) if each["tile"]]
    zero, heights = symmetry.EXACT, [100 * level for level in levels]

    def learned(each: Mapping[str, Any], index: float = 1) -> report.Curve:
        variant = "" if each["variant"] == "plain" else NAMES[each["variant"]]
        x, y = np.asarray(each["examples"]) / index, 100 * np.asarray(each["accuracies"])
        return report.Curve(each["name"], x, y, variant)

    panels = [
        report.CurvePanel(
            "error of an untrained layer",
            "shift (pixels)",
            "equivariance error",
            [
                report.Curve(each["name"], range(len(error[0])), error, zero=zero)
                for each in plain
                if len(error := errors[each["conv"]])
            ],
        ),
        report.CurvePanel(
            "accuracy at random positions",
            "training images",
            "test accuracy (%)",
            [learned(each) for each in moved if each["variant"] in ("plain", "tied")],
            logarithmic=True,
            references=heights,
        ),
        report.CurvePanel(
            "the same, rescaled",
            "training images / lattice index",
            "test accuracy (%)",
            [learned(each, each["index"]) for each in plain],
            logarithmic=True,
            references=heights,
        ),
    ]
    return report.curve_panels(panels, ordered)


def compared(found: Observations, levels: Sequence[float]) -> list[report.Block]:
    """Each variant against the plain network of the same tile, where there are several."""
    moved = found.where(training="translated", conv=banked(found))
    columns = needed_columns(moved, levels)
    if len(moved.values("variant")) < 2 or not columns:
        return []
    caption = "Training images that a variant needs more than the plain network."
    table = report.difference_table(
        moved, columns, "variant", "plain", names=NAMES, caption=caption
    )
    return [report.Heading("Variants against the plain network"), table]


def banked(found: Observations) -> tuple[str, ...]:
    """The convolutions with a bank of kernels: those that have a sharing defect."""
    names = [name for name in found.numbers if name.startswith("defect.")]
    rows = [row for row in found.rows if any(row.get(name) is not None for name in names)]
    return tuple(dict.fromkeys(row["conv"] for row in rows))


def defect_blocks(found: Observations) -> list[report.Block]:
    """The sharing defects, where any network has a bank of kernels."""
    moved = found.where(training="translated", conv=banked(found))
    if not moved.rows:
        return []
    names = [name for name in moved.numbers if name.startswith("defect.")]
    names_of_layers = dict.fromkeys(name.split(".", 2)[2] for name in names)
    table = report.summary_table(
        moved,
        {
            f"{layer}, {words}": f"defect.{when}.{layer}"
            for layer in names_of_layers
            for when, words in WHEN.items()
        },
        "conv",
        "variant",
        names=NAMES,
        caption="Sharing defect of the averaged parameters of each layer, output channels matched: "
        "0 for equal kernels. Above the first layer an upper bound.",
    )
    return [report.Heading("Do kernels become equal, do they stay so?"), table]
