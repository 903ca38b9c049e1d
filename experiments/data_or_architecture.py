"""Does the invariance that a network learns from moved images extend to larger movements and to other classes?

Five networks of three layers: the convolution shares its kernel (standard), has four of them
(tiled), one for each position (local) or is of the group p4, with as many weights; or max pooling
keeps the components of largest norm (adaptive). Each is trained on centred images, on images
translated by up to 4 pixels, and on images rotated by up to 30 degrees, but of classes 0 to 4 only.
Test images of both kinds of classes move in that range and beyond it; no shift wraps them around.

Kappa: how much more often two movements of an image are given the same class than by chance. Change
of the logits: in units of that from one image to another; beside it that by noise of equal norm,
since what responds to nothing is invariant, too. Controls: the other classes move in place of
these; or all do, and "classes never moved" are then those that else stay. p4 takes twice the steps.

    python launch.py data_or_architecture          digits, 3 seeds, 2 CPU cores
    python launch.py data_or_architecture smoke    half a minute
    python launch.py data_or_architecture full --data-dir DIR         MNIST, 5 seeds, for a GPU
    python launch.py data_or_architecture --tune --tuning-seeds 1000  choose the learning rates

Expected: in a test apart the logits change by at most 1e-5, whatever the training, under shifts by
4 (standard, p4, adaptive) and 8 pixels (tiled, too), rotations by 90 and 180 degrees (p4). Seen,
mean of 3 seeds: in range, on moved classes, data explain 24 % (shifts) and 90 % (rotations) of the
variance of kappa, architecture 58 and 4 %; beyond, data 7 and 19 %; in range on classes never moved
3 and 33 %. Local after translations: accuracy 90.5 +- 1.5 % in range, 35.5 +- 2.3 beyond, and 14.2
+- 1.2 in range on classes never moved, 48.0 +- 8.7 if nothing moved, 82.8 +- 1.3 if all classes
did. Adaptive has 94 % or more under every shift. On unmoved images up to 11.8 points apart.

Source: Bouchacourt, Ibrahim, Morcos, Grounding inductive biases in natural images, 2021; Moskalev,
Sepliarskaia, Bekkers, Smeulders, On genuine invariance learning without weight-tying, 2023; Zhou,
Tajwar, Robey et al., Do deep networks transfer invariances across classes?, 2022.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, Literal

from cnnjax.models.choice import Convolution
from cnnjax.run.cells import Cell
from cnnjax.run.config import Counted, Distinct, InputError, Positive, Requirement, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import finite
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import numpy as np
    from matplotlib import figure

    from cnnjax import models, report, symmetry, tasks

Architecture = Literal["standard", "tiled", "local", "adaptive", "p4"]
Training = Literal["centred", "translated", "rotated"]
Degrees = Annotated[float, Requirement(lambda a: 0 < a <= 180, "above 0 and at most 180")]
REACHES = {"in": "in range", "beyond": "beyond"}
TESTS = {f"{k}.{r}": f"{k}s {words}" for k in ("shift", "rotation") for r, words in REACHES.items()}
CLASSES = {"moved": "moved classes", "never": "classes never moved"}
MEASURES = {"accuracy (%)": ("accuracy", 100), "kappa (%)": ("kappa", 100)}
MEASURES |= {"change of the logits": ("change", 1), "by noise": ("noise", 1)}
COSTS: dict[str, Any] = {"accuracy (%)": ("accuracy", 100), "training loss": "loss"}
COSTS |= {"steps": "steps", "learning rate": "learning_rate", "parameters": "parameters"}
COSTS |= {"multiply-adds": "multiply_adds"}
EXACT = "largest change of the logits where theory says none"
EXACT_SHIFTS, EXACT_ROTATIONS = (4, 8), (90.0, 180.0)
"""Movements of a test apart, under which networks are exact; in the others only `adaptive` is."""


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """Which networks to train, how their images move, and by how much those of the tests."""

    architecture: Distinct[Architecture] = ("standard", "tiled", "local", "adaptive", "p4")
    """Networks to compare."""
    training: Distinct[Training] = ("centred", "translated", "rotated")
    """How training images of the moved classes move; the first is what others are compared to."""
    moved_classes: Distinct[Counted] = (0, 1, 2, 3, 4)
    """Classes whose training images move; those of all others stay."""
    controls: Distinct[Architecture] = ("standard", "local")
    """Networks that are trained again with all other classes moved, and with all."""
    translation: Positive = 4
    """Largest translation in training on each axis, in pixels."""
    angle: Degrees = 30.0
    """Largest rotation in training, in degrees."""
    shifts: Distinct[Positive] = (1, 3, 5, 7)
    """Shifts of test images in pixels, in eight directions; beyond `translation`, out of range."""
    rotations: Distinct[Degrees] = (10.0, 30.0, 60.0, 120.0)
    """Rotations of test images in degrees, both ways; beyond `angle`, out of range."""
    features: tuple[Positive, ...] = (8, 16, 32)
    """Channels of each layer, followed by halving; p4: from the second on half, per rotation."""
    kernel_size: Positive = 3
    """Height and width of every kernel."""
    test_images: Positive = 200
    """Test images that are moved."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=1e-2, warmup_steps=20, log_every=50
    )
    """How to train, the same for all but for the learning rate and, for p4, the steps."""
    p4_times: Positive = 2
    """How many times as many steps p4 takes, whose loss falls more slowly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, largest in (("shifts", self.translation), ("rotations", self.angle)):
            if not min(got := getattr(self, name)) <= largest < max(got):
                raise ValueError(f"{name} must be in and beyond the range {largest}, got {got}.")


PRESETS = {
    # The rates that --tune chose, see results/data_or_architecture/tuning: 3 is its largest.
    "default": Config(rate_factors={"tiled": 3, "local": 3}),
    "smoke": Config(
        architecture=("standard", "p4"),
        training=("centred", "translated"),
        controls=("standard",),
        seeds=(0,),
        shifts=(1, 5),
        rotations=(30.0, 60.0),
        features=(4, 4),
        test_images=40,
        train=TrainConfig(steps=20, batch_size=64, learning_rate=1e-2, log_every=10),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        features=(16, 32, 64),
        test_images=1000,
        train=TrainConfig(steps=2000, batch_size=256, learning_rate=2e-3, warmup_steps=100),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    margin = max(*config.shifts, *EXACT_SHIFTS)
    task = tasks.moved_by_class(config.data, config.data_dir, margin=margin)
    images, labels = task.test.read(np.arange(min(config.test_images, len(task.test))))
    moved = np.isin(np.arange(task.classes), config.moved_classes)
    if min(moved[labels].sum(), (~moved)[labels].sum()) < 2:
        raise InputError(
            f"moved_classes must be some, not all, of {np.unique(labels).tolist()}, of two test "
            f"images or more, got {config.moved_classes}."
        )
    chosen: dict[str, Any] = {"these": moved, "others": ~moved, "all": moved | True}
    ranges: dict[str, dict[str, Any]] = {"translated": {"translation": config.translation}}
    ranges["rotated"] = {"angle": np.deg2rad(config.angle)}

    def train(cell: Cell, training: Training, which: str) -> tuple[tasks.Network, Any, Any]:
        """The network of a cell, its trained state, and what evaluates it, moved as in training."""
        model = model_of(config, cell["architecture"], task.classes)
        how = config.train_for(cell, "architecture")
        times = config.p4_times if cell["architecture"] == "p4" else 1
        network = task.network(model, dataclasses.replace(how, steps=times * how.steps))
        source = {**ranges[training], "moved": chosen[which]} if training in ranges else {}
        state = network.train(record, cell, **source)
        return network, state, functools.partial(network.evaluate, state, **source)

    if config.tune:
        arms = {"architecture": config.architecture}
        tune(config, record, lambda cell: train(cell, "translated", "these")[-1], **arms)
        report.write_tuning_page(record, __doc__)
        return
    images = np.asarray(task.place(images))
    tests = {name: symmetry.MoveTest(images, labels, m) for name, m in moves_of(config).items()}
    conditions = [
        {"architecture": architecture, "training": training, "moved": which}
        for architecture in config.architecture
        for training in config.training
        for which in chosen
        if which == "these" or (architecture in config.controls and training in ranges)
    ]
    for cell in record.each(condition=conditions, seed=config.seeds):
        network, state, evaluate = train(cell, cell["training"], cell["moved"])
        first = chosen["others" if cell["moved"] == "others" else "these"][labels]
        groups = {"moved": first, "never": ~first, "all": first | True}
        logits = functools.partial(network.logits, state.variables)
        found = {name: test.responses(logits, groups) for name, test in tests.items()}
        fixed = functools.partial(stays, config, cell["architecture"], canvas=task.shape[0])
        zero = found.pop("exact")["all"].changes[[fixed(move) for move in tests["exact"].moves]]
        record.observe(
            cell,
            steps=network.training.config.steps,
            learning_rate=network.training.config.learning_rate,
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            loss=evaluate("train")["loss"],
            accuracy=network.accuracy(state),
            exact=finite(zero.max()) if len(zero) else None,
            **{name: {g: each._asdict() for g, each in of.items()} for name, of in found.items()},
        )
    page(record.observations(), record)


def model_of(config: Config, architecture: Architecture, classes: int) -> Any:
    """The network of an architecture."""
    if architecture == "p4":
        features = (config.features[0], *(max(1, each // 2) for each in config.features[1:]))
        return models.GroupChainNet(classes, features, config.kernel_size)
    convs = {"tiled": Convolution("tiled", {"tile": 2}), "local": Convolution("local")}
    return models.ChainNet(
        classes,
        downsampling="adaptive" if architecture == "adaptive" else "max",
        features=config.features,
        readout="max",
        kernel_size=config.kernel_size,
        conv=convs.get(architecture, Convolution("standard")).layer(),
    )


def moves_of(config: Config) -> dict[str, list[Any]]:
    """The movements of every test, the smallest first."""
    shifts = symmetry.shifts_around(sorted(config.shifts)), config.translation
    rotations = symmetry.rotations_both_ways(sorted(config.rotations)), config.angle
    exact_rotations = symmetry.rotations_both_ways(EXACT_ROTATIONS)
    return {"exact": [*symmetry.shifts_around(EXACT_SHIFTS), *exact_rotations]} | {
        f"{kind}.{reach}": [m for m in moves if (symmetry.amount_of(m) > largest) == beyond]
        for kind, (moves, largest) in {"shift": shifts, "rotation": rotations}.items()
        for reach, beyond in (("in", False), ("beyond", True))
    }


def stays(config: Config, architecture: Architecture, move: Any, canvas: int) -> bool:
    """Whether theory says that a movement leaves the logits as they are."""
    if not isinstance(move, tuple):
        return architecture == "p4" and move % 90 == 0
    # The last halving, a maximum, is part of the maximum over all positions.
    halved = 2 ** (len(config.features) - 1)
    step = {"adaptive": 1, "tiled": 2 * halved, "local": canvas}.get(architecture, halved)
    return all(distance % step == 0 for distance in move)


def page(every: Observations, record: Record) -> None:
    """Write results.json and the page."""
    found = every.where(moved="these")
    both = {f"{TESTS[test]}, {CLASSES[of]}": f"{test}.{of}" for test in TESTS for of in CLASSES}
    numbers = {f"kappa, {name}": f"{column}.kappa" for name, column in both.items()}
    numbers |= {f"change, {name}": f"{column}.change" for name, column in both.items()}
    shares = report.variance_results(found, numbers, "architecture", "training")
    record.results({**record.task, "rows": every.results(), "variance": shares})
    told = [
        f"{name} {each['training']['share']:.0%} and {each['architecture']['share']:.0%}"
        for name, each in zip(both, shares)
        if each["training"]["share"] is not None
    ]
    images = min(record.config["test_images"], record.task["test_examples"])
    points = {f"{name} (points)": (f"{column}.accuracy", 100) for name, column in both.items()}
    means = [summary.mean for summary in found.summary("accuracy").values()]
    apart = f"up to {100 * (max(means) - min(means)):.1f} points apart"
    said = f"Accuracy on unmoved images, {apart}; loss on training images moved as in training."
    costs = COSTS | ({EXACT: "exact"} if "exact" in every.numbers else {})
    tables = [report.summary_table(every, costs, caption=said)]
    for test in TESTS:
        columns: dict[str, Any] = {
            f"{head}, {CLASSES[which]}": (f"{test}.{which}.{number}", scale)
            for head, (number, scale) in MEASURES.items()
            for which in CLASSES
        }
        caption = f"{TESTS[test].capitalize()}, {images:,} test images."
        tables.append(report.summary_table(every, columns, caption=caption))
    report.write_page(
        record,
        __doc__,
        [
            f"Variance of kappa explained by training data and by architecture: {'; '.join(told)}.",
            report.setting(record, every),
            report.Heading("Shares of variance"),
            report.variance_table(shares, len(found.seeds), {"training": "training data"}),
            report.Heading("Accuracy against amount"),
            *(
                report.Figure(
                    kind,
                    curve_figure(found.where(training=training), record, kind),
                    f"Accuracy on {images:,} test images, trained on {training} images: mean over "
                    "seeds, and over directions. Dashed: chance.",
                )
                for kind, training in (("shift", "translated"), ("rotation", "rotated"))
                if training in found.values("training")
            ),
            report.Heading("Numbers"),
            *tables,
            report.Heading("Accuracy against that of centred training"),
            report.difference_table(found, points, "training", found.values("training")[0]),
            report.Heading("Accuracy with other classes moved, or all, against that with these"),
            report.difference_table(every, points, "moved", "these"),
        ],
    )


def curve_figure(found: Observations, record: Record, kind: str) -> figure.Figure:
    """Accuracy against the amount of a movement, a panel for each kind of classes."""
    panels: dict[str, dict[str, Any]] = {words: {} for words in CLASSES.values()}
    for architecture, group in found.groups("architecture").items():
        for which, words in CLASSES.items():
            parts = [group.array(f"{kind}.{reach}.{which}.curve").mean(0) for reach in REACHES]
            panels[words][architecture] = 100 * np.concatenate(parts)
    label = f"{kind} ({'pixels' if kind == 'shift' else 'degrees'})"
    x, chance = sorted(record.config[f"{kind}s"]), 100 / record.task["classes"]
    given: dict[str, Any] = {"limits": (0, 102), "ticks": x, "markers": "o", "reference": chance}
    return report.line_panels(panels, x, label, y_label="accuracy (%)", **given)
