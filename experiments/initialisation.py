"""Does the scale at which kernels start decide between a convolution and a locally connected layer?

A bank of P kernels, one for each output position, starts too small by sqrt(P) if its initialiser
counts the positions into the fan-in. Of implementations that were read, with the kernel handed to
the initialiser and the standard deviation against that of one window of k x k x C inputs
(P = H' W' positions, O output channels, H W input positions; in brackets: 32 x 32 x 3, k = 3, valid):

    flax.linen.ConvLocal                        (H' W', k^2 C, O)       1/sqrt(P) (1/30)
    Keras LocallyConnected2D, implementation 1  (H' W', k^2 C, O)       1/sqrt(P) (1/30)
                              implementation 2  (H, W, C, H', W', O)    k/sqrt(H W P) (1/320)
                              implementation 3  a vector                1/sqrt(P O) (1/240, O = 64)
    Lasagne LocallyConnected2DLayer             6 axes, P among them    1/sqrt(P)
    a snippet of the PyTorch forum              torch.randn             sqrt(k^2 C) (5.2)
    torch7 SpatialConvolutionLocal, the code of Pogodin et al., 2021    1
    the code of d'Ascoli et al., 2019           weights of a trained convolution, by conversion

A network of convolutions and one of locally connected layers start at 1/sqrt(P), at 1, at randn
(standard deviation 1); the local one also tied, as the convolution of the same seed, by conversion;
and `flax.linen:ConvLocal` itself as it is. Starts of a seed are multiples of the same draws. The
control that decides is the convolution with the same wrong multiplier: if it loses as much, a wrong
start is no more than a bad start; what decides between the two layers is by how much the start
changes the gap between them. The same with batch normalisation, which divides the scale of a kernel
out of its output, but not out of its learning rate. Each arm has a learning rate of its own, chosen
by --tune on validation images from five, a factor of 3 apart.

    python launch.py initialisation           digits, 5 seeds, Adam and SGD: 2 CPU cores
    python launch.py initialisation smoke     half a minute
    python launch.py initialisation full --data-dir DIR    Fashion-MNIST, for an accelerator
    python launch.py initialisation --tune    choose the learning rates; its page shows rate x start

Prediction: without normalisation the right start is better than 1/sqrt(P) for both layers, for the
local one by more; with batch normalisation by less than 0.5 points. At step 0 the outputs of
convolution and tied local layer are the same, those of 1/sqrt(P) smaller by the product of
1/sqrt(P) over the layers below.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cnnjax.models.choice import Convolution
from cnnjax.report.table import LEAST
from cnnjax.run.cells import Cell, arm_name, rounded
from cnnjax.run.config import Distinct, Positive, Seed, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary, summarize
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import jax
    import numpy as np

    from cnnjax import inspect, layers, models, report, tasks

Start = Literal["small", "right", "randn", "tied", "own"]
Optimizer = Literal["adam", "sgd"]
Readout = Literal["mean", "max", "volume"]
Arm = tuple[str, str]
"""A layer and its start."""
SHARED, UNSHARED = "conv", "local"
STARTS: dict[str, tuple[Start, ...]] = {
    "none": ("small", "right", "randn", "tied"),
    "batch": ("small", "right"),
}
"""Starts by normalisation; a convolution has no 'tied'."""
ARM = ("layer", "start", "norm", "optimizer")
"""Factors of an arm, which has a learning rate of its own."""
FACTORS = (1 / 9, 1 / 3, 1, 3, 9)
"""Learning rates that --tune tries, in units of train.learning_rate times `RATES`."""
RATES = {"adam": 1, "sgd": 30}
"""Learning rate of an optimiser, in units of that of Adam, where no other is chosen."""
NAMES = {
    SHARED: "convolution",
    "small": "1/sqrt(P)",
    "right": "1",
    "own": "its own",
    "none": "no normalisation",
    "batch": "batch normalisation",
    "norm": "normalisation",
    "adam": "Adam",
    "sgd": "SGD",
    "optimizer": "optimiser",
}
"""Words for factors and their values."""
BOTH_RIGHT, BOTH_SMALL, LIBRARY, CHANGE = (
    "local minus convolution, both 1",
    "local minus convolution, both 1/sqrt(P)",
    "local 1/sqrt(P) minus convolution 1",
    "change of the gap: both 1 minus both 1/sqrt(P)",
)
SCALES = (
    ("before", "kernel", "kernels"),
    ("before", "output", "outputs"),
    ("before", "gradient", "gradients of the kernels"),
    ("after", "output", "outputs"),
    ("after", "gradient", "gradients of the kernels"),
)
"""Standard deviations that the page shows: when, of what, and the words for it."""
COMPARISONS: dict[str, tuple[tuple[Arm, ...], tuple[Arm, ...]]] = {
    BOTH_RIGHT: (((UNSHARED, "right"),), ((SHARED, "right"),)),
    BOTH_SMALL: (((UNSHARED, "small"),), ((SHARED, "small"),)),
    LIBRARY: (((UNSHARED, "small"),), ((SHARED, "right"),)),
    CHANGE: (
        ((UNSHARED, "right"), (SHARED, "small")),
        ((UNSHARED, "small"), (SHARED, "right")),
    ),
    "local: 1 minus 1/sqrt(P)": (((UNSHARED, "right"),), ((UNSHARED, "small"),)),
    "convolution: 1 minus 1/sqrt(P)": (((SHARED, "right"),), ((SHARED, "small"),)),
    "local minus convolution, both randn": (((UNSHARED, "randn"),), ((SHARED, "randn"),)),
    "local: 1 minus randn": (((UNSHARED, "right"),), ((UNSHARED, "randn"),)),
    "convolution: 1 minus randn": (((SHARED, "right"),), ((SHARED, "randn"),)),
    "local tied minus convolution 1": (((UNSHARED, "tied"),), ((SHARED, "right"),)),
    "local: 1 minus tied": (((UNSHARED, "right"),), ((UNSHARED, "tied"),)),
}
"""Arms whose accuracies are added, and arms whose are subtracted."""


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """Which layers and starts to compare, on what, for how long."""

    norms: Distinct[Literal["none", "batch"]] = ("none", "batch")
    """Without normalisation, and with batch normalisation after every convolution."""
    optimizers: Distinct[Optimizer] = ("adam", "sgd")
    """Optimisers; SGD has train.momentum."""
    others: tuple[Convolution, ...] = (Convolution("flax.linen:ConvLocal"),)
    """Locally connected layers of other libraries, by import path, started as they are, without
    normalisation."""
    canvas: Positive | None = 16
    """Height and width of the images; by default those of the digits, enlarged. None: as
    `tasks.on_canvas`."""
    features: tuple[Positive, ...] = (16, 16, 16)
    """Output channels of each layer, after which the image is halved by max pooling."""
    kernel_size: Positive = 3
    """Height and width of every kernel."""
    readout: Readout = "mean"
    """What the classifier sees: the mean or maximum of each channel, or the whole volume."""
    translated: bool = False
    """Place every image at a random position of the circular canvas, in training and evaluation."""
    measured_images: Positive = 128
    """Training images on which the standard deviations of outputs and gradients are measured."""
    seeds: Distinct[Seed] = (0, 1, 2, 3, 4)
    """Seeds; for each a network is trained in every condition."""
    train: TrainConfig = TrainConfig(
        steps=300, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=50, eval_every=50
    )
    """How to train, the same for all but for optimiser and learning rate."""

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that `tune` tries, to three digits."""
        return tuple(rounded(factor * self.train.learning_rate) for factor in FACTORS)

    def arms(self) -> list[dict[str, str]]:
        """Layer, start and normalisation of every network."""
        chosen = [
            {"layer": layer, "start": start, "norm": norm}
            for norm in self.norms
            for layer in (SHARED, UNSHARED)
            for start in STARTS[norm]
            if (layer, start) != (SHARED, "tied")
        ]
        others = self.others if "none" in self.norms else ()
        return chosen + [{"layer": str(o), "start": "own", "norm": "none"} for o in others]

    def train_of(self, cell: Cell) -> TrainConfig:
        """How to train the network of a cell."""
        untuned = {arm_name([cell[name] for name in ARM]): RATES[cell["optimizer"]]}
        tuned = dataclasses.replace(self, rate_factors=untuned | self.rate_factors)
        return dataclasses.replace(tuned.train_for(cell, *ARM), optimizer=cell["optimizer"])


PRESETS = {
    "smoke": Config(
        norms=("none",),
        optimizers=("adam",),
        others=(),
        seeds=(0,),
        features=(4, 4),
        train=TrainConfig(steps=20, batch_size=64, learning_rate=1e-2, log_every=10),
    ),
    "full": Config(
        data="fashion_mnist",
        canvas=None,
        train=TrainConfig(
            steps=2000, batch_size=256, learning_rate=3e-3, warmup_steps=100, eval_every=250
        ),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    placed = {"translation": task.shape[0] if config.translated else 1}
    choices = {SHARED: Convolution("standard"), UNSHARED: Convolution("local")}
    choices |= {str(other): other for other in config.others}

    def model_of(layer: str, norm: str) -> models.PlainNet:
        conv, features = choices[layer].layer(), config.features
        return models.PlainNet(
            task.classes, conv, features, config.kernel_size,
            normalize=norm == "batch", readout=config.readout,
        )  # fmt: skip

    # Starts that have the same learning rate have the same compiled program.
    @functools.cache
    def network_of(layer: str, norm: str, train: TrainConfig) -> tasks.Network:
        return task.network(model_of(layer, norm), train)

    def started_network(cell: Cell) -> tasks.Network:
        train = config.train_of(cell)
        network = network_of(cell["layer"], cell["norm"], train)
        params = network.initial(cell["seed"]).params
        if cell["start"] == "tied":
            shared = network_of(SHARED, cell["norm"], train).initial(cell["seed"]).params
            params = tied(shared, spaces)
        return network.starting_from({"params": scaled(params, cell["start"], spaces)})

    def train(cell: Cell) -> tuple[tasks.Network, Any]:
        network = started_network(cell)
        return network, network.train(record, cell, evaluate=network.scores(**placed), **placed)

    def validated(cell: Cell) -> Any:
        network, state = train(cell)
        return functools.partial(network.scores(**placed), state)

    spaces = out_spaces(model_of(UNSHARED, "none"), task.shape)
    if config.tune:
        for optimizer in config.optimizers:
            rate = RATES[optimizer] * config.train.learning_rate
            around = dataclasses.replace(config.train, learning_rate=rate)
            scaled_config = dataclasses.replace(config, train=around)
            tune(scaled_config, record, validated, network=config.arms(), optimizer=optimizer)
        report.write_tuning_page(record, __doc__)
        return
    images, labels = task.train.read(np.arange(min(config.measured_images, len(task.train))))
    images = np.asarray(task.place(images))
    scales = jax.jit(inspect.layer_scales, static_argnums=0)
    for cell in record.each(network=config.arms(), optimizer=config.optimizers, seed=config.seeds):
        network = started_network(cell)
        alone = network.model.clone(axis_name=None)  # measured outside the compiled step
        before = scales(alone, network.initial(cell["seed"]).variables, images, labels)
        network, state = train(cell)
        record.observe(
            cell,
            learning_rate=network.training.config.learning_rate,
            parameters=network.parameters,
            accuracy=network.accuracy(state, **placed),
            accuracy_train=network.accuracy(state, "train", **placed),
            before=jax.device_get(before),
            after=jax.device_get(scales(alone, state.variables, images, labels)),
        )
    page(record.observations(), record)


def out_spaces(local: models.PlainNet, shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Output positions (height, width) of each locally connected layer on images of a shape."""
    image = jax.ShapeDtypeStruct((1, *shape), np.float32)
    params = jax.eval_shape(local.init, jax.random.key(0), image)["params"]
    return {name: layer["kernel"].shape[:2] for name, layer in params.items() if "conv" in name}


def multiplier(start: str, space: Sequence[int], fan_in: int) -> float:
    """Standard deviation of the kernels of a start, in units of 1/sqrt(fan_in)."""
    known = {"small": 1 / math.sqrt(math.prod(space)), "randn": math.sqrt(fan_in)}
    return known.get(start, 1.0)


def scaled(
    params: Mapping[str, Any], start: str, spaces: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """Parameters whose kernels are those of a start, multiples of the given ones.

    Args:
      params: initial parameters by layer, kernels of standard deviation 1/sqrt(fan_in).
      start: see `multiplier`.
      spaces: output positions of the layers to scale, the same for all starts and layers.
    """

    def kernel_of(name: str, kernel: Any) -> Any:
        return kernel * multiplier(start, spaces[name], math.prod(kernel.shape[-4:-1]))

    return {
        name: {**layer, "kernel": kernel_of(name, layer["kernel"])} if name in spaces else layer
        for name, layer in params.items()
    }


def tied(shared: Mapping[str, Any], spaces: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Parameters of the local network that computes what the convolutional one does."""
    return {
        name: layers.tiled_to_local(layers.standard_to_tiled(layer, 1), spaces[name])
        if name in spaces
        else layer
        for name, layer in shared.items()
    }


def contrast(
    found: Observations, plus: Sequence[Arm], minus: Sequence[Arm], number: str = "accuracy"
) -> Summary | None:
    """Sum of a number of some arms minus that of others, paired by seed; None if one is missing.

    Args:
      found: observations of one normalisation and one optimiser.
      plus, minus: layer and start of the arms.
      number: its name.
    """
    change: dict[int, float] = dict.fromkeys(found.seeds, 0.0)
    for sign, arms in ((1, plus), (-1, minus)):
        for layer, start in arms:
            rows = [row for row in found.rows if (row["layer"], row["start"]) == (layer, start)]
            if [row["seed"] for row in rows] != found.seeds:
                return None
            for row in rows:
                change[row["seed"]] += sign * row[number]
    return summarize(list(change.values()))


def comparisons(found: Observations) -> dict[str, dict[str, Summary]]:
    """Every comparison of `COMPARISONS`, and of other layers, by setting in words."""
    others = [layer for layer in found.values("layer") if layer not in (SHARED, UNSHARED)]
    listed = dict(COMPARISONS)
    for other in others:
        listed[f"{other} minus convolution 1"] = (((other, "own"),), ((SHARED, "right"),))
        listed[f"{other} minus local 1/sqrt(P)"] = (((other, "own"),), ((UNSHARED, "small"),))
    table: dict[str, dict[str, Summary]] = {words: {} for words in listed}
    for (norm, optimizer), group in found.groups("norm", "optimizer").items():
        setting = f"{NAMES[optimizer]}, {NAMES[norm]}"
        for words, (plus, minus) in listed.items():
            change = contrast(group, plus, minus)
            if change is not None:
                table[words][setting] = change
    return {words: row for words, row in table.items() if row}


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    table, several = comparisons(found), len(found.seeds) >= LEAST
    record.results({**record.task, "rows": found.results(), "comparisons": table})
    settings = list(table[BOTH_RIGHT])
    names = [f"conv{number}" for number, _ in enumerate(record.config["features"], start=1)]
    names.append("classifier")
    optimizers = found.values("optimizer")
    report.write_page(
        record,
        __doc__,
        [
            "Accuracy, local minus convolution (points): "
            + "; ".join(
                f"{setting}: {points(table[BOTH_RIGHT].get(setting))} with both at 1, "
                f"{points(table[BOTH_SMALL].get(setting))} with both at 1/sqrt(P), a change of the "
                f"gap by {points(table[CHANGE].get(setting))}"
                for setting in settings
            )
            + ".",
            report.setting(record, found),
            report.Heading("Differences between layers and starts"),
            *([comparison_figure(table)] if several else []),
            report.Table(
                ["accuracy (points)", *settings],
                [
                    [words, *(points(row.get(name)) for name in settings)]
                    for words, row in table.items()
                ],
                caption=f"Test accuracy, paired by seed: {report.over_seeds(len(found.seeds))}; a "
                "dash of what was not trained, and for fewer than 3 seeds.",
            ),
            report.Heading("Accuracy"),
            report.summary_table(
                found,
                {
                    "learning rate": report.learning_rate,
                    "accuracy, training images (%)": ("accuracy_train", 100),
                    "accuracy, test images (%)": ("accuracy", 100),
                    "parameters": "parameters",
                },
                *ARM,
                names=NAMES,
                caption=f"{record.task['test_examples']:,} test images; chance is "
                f"{100 / record.task['classes']:.0f} %.",
            ),
            *(
                report.Figure(
                    f"learning_curves_{optimizer}",
                    report.learning_curves(
                        report.curves_of(
                            record,
                            found.where(norm=found.values("norm")[0], optimizer=optimizer),
                            "layer",
                            "start",
                            names=NAMES,
                        )
                    ),
                    f"{NAMES[optimizer]}, {NAMES[found.values('norm')[0]]}: training batches, and "
                    "evaluations on validation images.",
                )
                for optimizer in optimizers
            ),
            report.Heading("Standard deviations"),
            *(
                report.summary_table(
                    found.where(optimizer=optimizers[0]),
                    {name: f"{stage}.{kind}.{name}" for name in names},
                    *ARM[:3],
                    names=NAMES,
                    caption=f"Standard deviation of the {words}, {stage} training.",
                )
                for stage, kind, words in SCALES
            ),
        ],
    )


def points(change: Summary | None) -> str:
    """A difference of accuracies in points; a dash for fewer than 3 seeds."""
    missing = change is None or change.n < LEAST
    return report.MISSING if missing else report.format_summary(change, 100)


def comparison_figure(table: Mapping[str, Mapping[str, Summary]]) -> report.Figure:
    """The comparisons that every setting has."""
    most = max(map(len, table.values()))
    return report.Figure(
        "comparisons",
        report.dots(
            {words: row for words, row in table.items() if len(row) == most},
            "difference of test accuracy (points)",
            limits=None,
            reference=("no difference", 0),
        ),
        "Differences of test accuracy, paired by seed.",
    )
