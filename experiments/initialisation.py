"""Does the scale at which kernels start decide between a convolution and a locally connected layer?

A bank of P kernels, one per output position, starts too small by sqrt(P) if its initialiser counts
the positions into the fan-in. Of code that was read: the shape given to an initialiser of variance
1/fan-in (Keras' default is another), and the standard deviation against that of a window of k x k x
C inputs (P = H' W' positions, O channels, H W inputs; in brackets 32 x 32 x 3, k = 3, valid):

    flax.linen.ConvLocal                        (H' W', k^2 C, O)       1/sqrt(P) (1/30)
    Keras LocallyConnected2D, implementation 1  (H' W', k^2 C, O)       1/sqrt(P) (1/30)
                              implementation 2  (H, W, C, H', W', O)    k/sqrt(H W P) (1/320)
                              implementation 3  one axis                1/sqrt(P O) (1/240, O = 64)
    Lasagne LocallyConnected2DLayer             6 axes, P among them    1/sqrt(P)
    a snippet of the PyTorch forum              torch.randn             sqrt(k^2 C) (5.2)
    torch7 SpatialConvolutionLocal              uniform of one window   1/sqrt(3)
    Pogodin et al., 2021                        fan-out of one window   of the order of 1
    d'Ascoli et al., 2019                       the weights of a convolution, by conversion

Networks of convolutions and local layers start at 1/sqrt(P), 1 and randn (standard deviation 1),
multiples of the same draws; local ones also tied, converted from that seed's convolution, and
`flax.linen:ConvLocal` as it is; with batch normalisation at 1/sqrt(P) and 1. Each has its own rate.

    python launch.py initialisation          digits, 5 seeds, Adam and SGD: 8 minutes, 2 CPU cores
    python launch.py initialisation smoke    half a minute
    python launch.py initialisation full --data-dir DIR    Fashion-MNIST, for an accelerator
    python launch.py initialisation --tune   choose the learning rates: the grid of rate and start

Expected untrained: equal outputs of convolution and tied local layers; flax's layer at 1/sqrt(P).
Seen, mean of 5 seeds: local layers at 1 and at 1/sqrt(P) differ by 0.2 (Adam) and 0.6 points (SGD),
with normalisation by 0.1 and -0.2, none beyond its interval. With SGD one of 5 convolutions at
1/sqrt(P) stays at chance. randn costs local layers 1.8 and 11.3 points, convolutions 29.9 and 29.9,
so local ones lead by 28.9 +- 25.3 and 19.3 +- 10.8; but these convolutions know 35 to 90 % of
training images. With Adam the highest rate tried was best of 6 of 12 arms, so of convolutions at 1,
which local layers at 1 beat by 0.7 +- 0.2 points: 2 or 3 of 360 images.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, Literal

from cnnjax.models.choice import Convolution
from cnnjax.run.cells import Cell, arm_name, rounded
from cnnjax.run.config import Distinct, Positive, Seed, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import jax
    import numpy as np

    from cnnjax import inspect, layers, models, report, tasks

MEASURED = 128  # training images on which standard deviations are measured
ARM = ("layer", "start", "norm", "optimizer")  # each has a learning rate of its own
RATES, TRIED = {"adam": 1, "sgd": 30, "sgd randn": 0.3}, (1 / 9, 1 / 3, 1, 3, 9)
"""Learning rate, in units of train.learning_rate, of arms without one; its multiples for --tune."""
NAMES = {"conv": "convolution", "small": "1/sqrt(P)", "right": "1", "adam": "Adam", "sgd": "SGD"}
NAMES |= {"none": "no normalisation", "batch": "batch normalisation"}
CONV_SMALL, CONV_RIGHT, CONV_RANDN, LOCAL_SMALL, LOCAL_RIGHT, LOCAL_RANDN = (
    dict(zip(ARM, arm)) for arm in itertools.product(("conv", "local"), ("small", "right", "randn"))
)
LOCAL_TIED = {"layer": "local", "start": "tied"}
USUAL = (CONV_SMALL, CONV_RIGHT, LOCAL_SMALL, LOCAL_RIGHT)
ARMS = {"none": (*USUAL, CONV_RANDN, LOCAL_RANDN, LOCAL_TIED), "batch": USUAL}
RIGHT, SMALL = "local minus convolution, both 1", "local minus convolution, both 1/sqrt(P)"
COMPARISONS = {
    RIGHT: ([LOCAL_RIGHT], [CONV_RIGHT]),
    SMALL: ([LOCAL_SMALL], [CONV_SMALL]),
    "change of the gap, 1/sqrt(P) to 1": ([LOCAL_RIGHT, CONV_SMALL], [LOCAL_SMALL, CONV_RIGHT]),
    "local 1/sqrt(P) minus convolution 1": ([LOCAL_SMALL], [CONV_RIGHT]),
    "local: 1 minus 1/sqrt(P)": ([LOCAL_RIGHT], [LOCAL_SMALL]),
    "convolution: 1 minus 1/sqrt(P)": ([CONV_RIGHT], [CONV_SMALL]),
    "local minus convolution, both randn": ([LOCAL_RANDN], [CONV_RANDN]),
    "local: 1 minus randn": ([LOCAL_RIGHT], [LOCAL_RANDN]),
    "convolution: 1 minus randn": ([CONV_RIGHT], [CONV_RANDN]),
    "local tied minus convolution 1": ([LOCAL_TIED], [CONV_RIGHT]),
}
"""Arms whose accuracies are added, and those whose are subtracted."""


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """Which layers and starts to compare, on what, for how long."""

    norms: Distinct[Literal["none", "batch"]] = ("none", "batch")
    """Without normalisation, and with batch normalisation after every convolution."""
    optimizers: Distinct[Literal["adam", "sgd"]] = ("adam", "sgd")
    """Optimisers; SGD has train.momentum."""
    others: tuple[Convolution, ...] = (Convolution("flax.linen:ConvLocal"),)
    """Locally connected layers by import path, started as they are, without normalisation."""
    canvas: Positive | None = 16
    """Height and width of the images; by default of digits, doubled. None: as `on_canvas`."""
    features: tuple[Positive, ...] = (16, 16, 16)
    """Output channels of each layer, after which max pooling halves the image."""
    translated: bool = False
    """Place every image at a random position of the canvas, in training and evaluation."""
    seeds: Distinct[Seed] = (0, 1, 2, 3, 4)
    """Seeds; for each a network is trained in every condition."""
    tuning_seeds: Distinct[Seed] = (1000,)
    """Seeds of --tune, none of the study's; one, for each arm tries five rates."""
    train: TrainConfig = TrainConfig(
        steps=300, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=50, eval_every=50
    )
    """How to train, the same for all but for optimiser and learning rate."""

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that `tune` tries, to three digits."""
        return tuple(rounded(factor * self.train.learning_rate) for factor in TRIED)

    def arms(self) -> list[dict[str, str]]:
        """Layer, start and normalisation of every network."""
        chosen = [{**arm, "norm": norm} for norm in self.norms for arm in ARMS[norm]]
        others = [str(other) for other in self.others if "none" in self.norms]
        return chosen + [{"layer": name, "start": "own", "norm": "none"} for name in others]

    def train_of(self, cell: Cell) -> TrainConfig:
        """How to train the network of a cell."""
        untuned = {arm_name([cell[name] for name in ARM]): usual_rate(cell)}
        tuned = dataclasses.replace(self, rate_factors=untuned | self.rate_factors)
        return dataclasses.replace(tuned.train_for(cell, *ARM), optimizer=cell["optimizer"])


TUNED = {
    "conv small none adam": 9, "conv right none adam": 9, "local small none adam": 9,
    "local right none adam": 3, "conv randn none adam": 9, "local randn none adam": 9,
    "local tied none adam": 3, "conv right batch adam": 9, "local small batch adam": 3,
    "local right batch adam": 3, "flax.linen:ConvLocal own none adam": 3,
    "conv small none sgd": 30, "conv right none sgd": 30, "local small none sgd": 90,
    "local right none sgd": 90, "conv randn none sgd": 0.1, "local randn none sgd": 0.1,
    "local tied none sgd": 90, "conv small batch sgd": 10, "conv right batch sgd": 30,
    "local small batch sgd": 10, "local right batch sgd": 90,
    "flax.linen:ConvLocal own none sgd": 90,
}  # fmt: skip
"""Rates that --tune chose, see results/initialisation/tuning."""
PRESETS = {
    "default": Config(rate_factors=TUNED),
    "smoke": Config(
        norms=("none",), optimizers=("adam",), others=(), seeds=(0,), features=(4, 4),
        train=TrainConfig(steps=20, batch_size=64, learning_rate=1e-2, log_every=10),
    ),
    "full": Config(
        data="fashion_mnist", canvas=None,
        train=TrainConfig(steps=1000, batch_size=256, warmup_steps=50, eval_every=200),
    ),
}  # fmt: skip


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    placed = {"translation": task.shape[0] if config.translated else 1}
    choices = {"conv": Convolution("standard"), "local": Convolution("local")}
    choices |= {str(other): other for other in config.others}

    # Starts with the same learning rate share one compiled program.
    @functools.cache
    def network_of(layer: str, norm: str, train: TrainConfig) -> tasks.Network:
        conv, normalize = choices[layer].layer(), norm == "batch"
        model = models.PlainNet(task.classes, conv, config.features, normalize=normalize)
        return task.network(model, train)

    # Output positions of each layer, the same for all: P is their number.
    local = network_of("local", "none", config.train).initial(0).params
    spaces = {name: local[name]["kernel"].shape[:2] for name in local if name != "classifier"}

    def started(cell: Cell) -> tasks.Network:
        train = config.train_of(cell)
        network = network_of(cell["layer"], cell["norm"], train)
        drawn = network_of("conv", cell["norm"], train) if cell["start"] == "tied" else network
        params = drawn.initial(cell["seed"]).params
        kernels = {name: at_start(params[name], cell["start"], spaces[name]) for name in spaces}
        return network.starting_from({"params": params | kernels})

    def train(cell: Cell, network: tasks.Network) -> tuple[Any, functools.partial]:
        scores = network.scores(**placed)
        state = network.train(record, cell, evaluate=scores, **placed)
        return state, functools.partial(scores, state)

    def validated(cell: Cell) -> functools.partial:
        return train(cell, started(cell))[1]

    if config.tune:
        for optimizer in config.optimizers:
            for arm in config.arms():
                rate = config.train.learning_rate * usual_rate({**arm, "optimizer": optimizer})
                own = dataclasses.replace(config.train, learning_rate=rate)
                tried = dataclasses.replace(config, train=own)
                tune(tried, record, validated, network=[arm], optimizer=optimizer)
        report.write_tuning_page(record, __doc__)
        return
    images, labels = task.train.read(np.arange(MEASURED))
    images, scales = task.place(images), jax.jit(inspect.layer_scales, static_argnums=0)
    for cell in record.each(network=config.arms(), optimizer=config.optimizers, seed=config.seeds):
        network = started(cell)
        alone = network.model.clone(axis_name=None)  # normalises these images by themselves
        before = scales(alone, network.initial(cell["seed"]).variables, images, labels)
        state, scored = train(cell, network)
        record.observe(
            cell,
            learning_rate=network.training.config.learning_rate,
            parameters=network.parameters,
            accuracy=scored("test")["accuracy"],
            accuracy_train=scored("train")["accuracy"],
            before=jax.device_get(before),
            after=jax.device_get(scales(alone, state.variables, images, labels)),
        )
    page(record.observations(), record)


def usual_rate(arm: Mapping[str, Any]) -> float:
    """Learning rate of an arm without one of its own, in units of train.learning_rate."""
    return RATES.get(f"{arm['optimizer']} {arm['start']}", RATES[arm["optimizer"]])


def at_start(layer: Mapping[str, Any], start: str, space: tuple[int, ...]) -> dict[str, Any]:
    """Parameters of a layer at a start, from those at 'right', for 'tied' of a convolution.

    `space` are the positions of its output; at any other start, such as 'own', nothing changes.
    """
    if start == "tied":
        return dict(layers.tiled_to_local(layers.standard_to_tiled(layer, 1), space))
    fan_in = math.prod(layer["kernel"].shape[-4:-1])
    multipliers = {"small": 1 / math.sqrt(math.prod(space)), "randn": math.sqrt(fan_in)}
    return {**layer, "kernel": multipliers.get(start, 1) * layer["kernel"]}


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    listed = COMPARISONS | {
        f"{other} minus {words}": ([{"layer": other}], [arm])
        for other in found.values("layer")
        if other not in ("conv", "local")
        for words, arm in (("convolution 1", CONV_RIGHT), ("local 1/sqrt(P)", LOCAL_SMALL))
    }
    table = report.contrasts(found, "accuracy", listed, "optimizer", "norm", names=NAMES)
    record.results({**record.task, "rows": found.results(), "comparisons": table})
    drawn = {words: row for words, row in table.items() if row.keys() == table[RIGHT].keys()}
    names = [f"conv{n}" for n in range(1, 1 + len(record.config["features"]))] + ["classifier"]
    dots = report.dots(drawn, "points, logarithmic beyond 2", limits=None, reference=("equal", 0))
    dots.axes[0].set_xscale("symlog", linthresh=2)
    dots.axes[0].set_xticks(ticks := (-50, -10, -2, 0, 2, 10, 50), labels=[f"{x}" for x in ticks])
    images, classes = (record.task[name] for name in ("test_examples", "classes"))
    failed = [str(c) for c, row in zip(found.cells, found.rows) if row["accuracy"] < 1.1 / classes]
    paired = f"Paired by seed, {images:,} test images: {report.over_seeds(len(found.seeds))}."
    norm, optimizer = found.values("norm")[0], found.values("optimizer")[0]
    plain = found.where(norm=norm, optimizer=optimizer)
    curves = report.curves_of(record, plain, "layer", "start", names=NAMES)
    said = functools.partial(report.format_contrast, scale=100, decimals=1)
    gaps = [f"{at} {said(d)} and {said(table[SMALL].get(at))}" for at, d in table[RIGHT].items()]
    report.write_page(
        record,
        __doc__,
        [
            "Accuracy (points), local minus convolution, at the scale of one window and at "
            f"1/sqrt(P): {'; '.join(gaps)}. One test image: {100 / images:.1f}. At chance: "
            f"{'; '.join(failed) or 'none'}.",
            report.setting(record, found),
            report.Heading("Differences between layers and starts"),
            report.Figure("differences", dots, f"Test accuracy, dots and bars. {paired}"),
            report.contrast_table(table, "test accuracy (points)", 100, paired),
            report.Heading("Accuracy"),
            report.summary_table(
                found,
                {
                    "learning rate": report.learning_rate,
                    "accuracy, training images (%)": ("accuracy_train", 100),
                    "accuracy, test images (%)": ("accuracy", 100),
                    "parameters": "parameters",
                },
                names=NAMES,
                caption=f"{images:,} test images.",
            ),
            report.Figure(
                "learning_curves",
                report.learning_curves(curves),
                f"{NAMES[optimizer]}, {NAMES[norm]}: training batches, and validation images.",
            ),
            report.Heading("Standard deviations"),
            *(
                report.summary_table(
                    found.where(optimizer=optimizer),
                    {name: f"{stage}.{kind}.{name}" for name in names},
                    *ARM[:3],
                    names=NAMES,
                    caption=f"Standard deviation of the {kind} of each layer {stage} training, "
                    f"on {MEASURED} training images.",
                )
                for stage in ("before", "after")
                for kind in ("kernel", "output", "gradient")
            ),
        ],
    )
