"""What does building 90-degree rotations into the layers save, on digits rotated by any angle?

Networks on rotated MNIST, after Cohen and Welling 2016: Z2CNN, of ordinary convolutions; P4CNN, of
group convolutions, whose features keep the rotation; and, of nearly as many parameters as these,
P4CNN with rotation pooling, whose every layer takes the maximum over four rotated copies of its
kernels. Two controls: Z2CNN with 40 channels, which costs as many multiply-adds as P4CNN; and
training images rotated once more by random angles, as the published code trains all its networks.
Each is trained on few images, drawn by the seed, and on many, for equally many steps. Each network
has a learning rate chosen by --tune on 2,000 validation images.

    python launch.py prepare rotated_mnist --data-dir DIR     once, from MNIST
    python launch.py rotation --data-dir DIR                  3 seeds: 20 minutes, 2 CPU cores
    python launch.py rotation curve --data-dir DIR            error by training images, for a GPU
    python launch.py rotation full --data-dir DIR             published length, 5 seeds, for a GPU
    python launch.py rotation --tune --tuning-seeds 1000 --data-dir DIR    choose the learning rates
    python launch.py rotation smoke                           digits, under a minute

Expected: a 90-degree rotation changes the logits of the P4 networks by 1e-4 at most. Published,
with 10,000 or 12,000 training images, 300 epochs of Z2CNN and 100 of P4CNN: errors of 5.03 %
(Z2CNN), 3.21 % (P4CNN with rotation pooling) and 2.28 % (P4CNN). Seen, mean of 3 seeds after 350
steps, with 1,000 and 10,000 training images: P4CNN 8.7 and 4.8 % and fewer than each other network
by more than the interval, than Z2CNN by 13.7 +- 4.3 and 8.1 +- 3.6 points, random rotations
8.5 +- 5.8 and 9.1 +- 3.8, 40 channels 9.9 +- 3.0 and 5.3 +- 1.8; only over 40 channels is the lead
beyond its interval larger with fewer images. For all but the random rotations the highest rate
tried was the best.

Source: Cohen, Welling, Group equivariant convolutional networks, 2016, section 8.1.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Annotated, Any, Literal

from cnnjax.run.cells import Cell
from cnnjax.run.config import Distinct, InputError, Positive, StudyConfig, between
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import numpy as np

    from cnnjax import models, report, symmetry, tasks

Group = Literal["none", "p4_pooled", "p4"]
Kind = Literal["z2", "z2_rotated", "z2_wide", "p4_pooled", "p4", "p4_rotated"]
NETWORKS: dict[Kind, tuple[str, Group, int | None, bool]] = {
    # name, group, channels (None: those of the published network), whether images are rotated
    "z2": ("Z2CNN", "none", None, False),
    "z2_rotated": ("Z2CNN, random rotations", "none", None, True),
    "z2_wide": ("Z2CNN, 40 channels", "none", 40, False),
    "p4_pooled": ("P4CNN, rotation pooling", "p4_pooled", None, False),
    "p4": ("P4CNN", "p4", None, False),
    "p4_rotated": ("P4CNN, random rotations", "p4", None, True),
}
NAMES = {kind: name for kind, (name, *_) in NETWORKS.items()} | {"train_images": "training images"}
ROTATED_IMAGES = 64
"""Test images on which the change of the logits is measured."""


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """Which networks to compare, on what, for how long."""

    networks: Distinct[Kind] = ("z2", "z2_rotated", "z2_wide", "p4")
    """Networks: z2 (Z2CNN), p4 (P4CNN), p4_pooled (P4CNN with rotation pooling), z2_wide (40
    channels), z2_rotated and p4_rotated (training images rotated by random angles)."""
    data: str = "rotated_mnist"
    """TFDS name of the data set."""
    random_rotation: bool = False
    """Random rotations for all networks, for data that is not rotated already."""
    train_images: Distinct[Positive] = (1000, 10_000)
    """Numbers of training images, which the seed draws."""
    test_images: Positive = 5000
    """Test images; the preset `full` takes all 50,000."""
    dropout_rate: Annotated[float, between(0, 1)] = 0.1
    """Share of the activations that is dropped in training."""
    train: TrainConfig = TrainConfig(
        steps=350, batch_size=64, learning_rate=1e-2, warmup_steps=30, log_every=50
    )
    """How to train, the same for all but for the learning rate."""


_FULL = Config(
    networks=tuple(NETWORKS),
    train_images=(10_000,),
    test_images=50_000,
    dropout_rate=0.3,
    seeds=(0, 1, 2, 3, 4),
    train=TrainConfig(
        steps=300 * 10_000 // 128,
        batch_size=128,
        learning_rate=1e-2,
        warmup_steps=200,
        log_every=500,
        checkpoint_every=4000,
    ),
)
PRESETS = {
    # The rates that --tune chose, see results/rotation/tuning: 3 is its largest.
    "default": Config(rate_factors={"z2": 3, "z2_wide": 3, "p4": 3}),
    "smoke": Config(
        networks=("z2", "p4"),
        data="digits",
        random_rotation=True,
        train_images=(200,),
        test_images=64,
        seeds=(0,),
        train=TrainConfig(steps=20, batch_size=32, learning_rate=1e-2, log_every=10),
    ),
    "curve": dataclasses.replace(
        _FULL,
        train_images=(500, 1000, 2000, 5000, 10_000),
        seeds=(0, 1, 2),
        train=dataclasses.replace(_FULL.train, steps=3000, log_every=100, checkpoint_every=0),
    ),
    "full": _FULL,
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    whole = tasks.rotated(config.data, config.data_dir, canvas=28)
    test = whole.dataset.test.part(np.arange(min(config.test_images, len(whole.test))))
    whole, most = whole.on(test=test), max(config.train_images)
    if most > len(whole.train):
        raise InputError(
            f"train_images must be at most the {len(whole.train):,} of {config.data}, got {most:,}."
        )
    images = whole.place(test.images[:ROTATED_IMAGES])

    def train(cell: Cell, count: int = most) -> tuple[tasks.Network, Any]:
        """The network of a cell, and its state, trained on so many images."""
        _, group, features, rotated = NETWORKS[cell["network"]]
        model = models.RotationNet(
            whole.classes, group, features=features, dropout_rate=config.dropout_rate
        )
        drawn = subset(len(whole.train), count, cell["seed"])
        task = whole.on(train=whole.dataset.train.part(drawn))
        network = task.network(model, config.train_for(cell, "network"))
        largest_angle = 2 * math.pi if rotated or config.random_rotation else 0.0
        return network, network.train(record, cell, largest_angle=largest_angle)

    def validated(cell: Cell) -> Any:
        network, state = train(cell)
        return functools.partial(network.scores(), state)

    if config.tune:
        tune(config, record, validated, network=config.networks)
        report.write_tuning_page(record, __doc__)
        return
    factors = {"network": config.networks, "train_images": config.train_images}
    for cell in record.each(**factors, seed=config.seeds):
        network, state = train(cell, cell["train_images"])
        logits = [network.logits(state.variables, x) for x in (images, symmetry.rotate90(images))]
        record.observe(
            cell,
            error=1 - network.accuracy(state),
            largest_change=np.abs(logits[1] - logits[0]).max(),
            learning_rate=network.training.config.learning_rate,
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
        )
    page(record.observations(), record)


def subset(examples: int, count: int, seed: int) -> np.ndarray:
    """Indices of so many of the examples, drawn by the seed; the fewer are among the more.

    Each comes as often as the others or once more, until they are as many as the examples, so that
    the compiled steps serve every count.
    """
    drawn = np.random.default_rng(seed).permutation(examples)[:count]
    return np.resize(drawn, examples)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    record.results({**record.task, "seeds": found.seeds, "rows": found.results()})
    counts = found.values("train_images")
    errors, changes, curves = [], [], []
    for network, rows in found.groups("network").items():
        name, means = NAMES[network], rows.summary("error", "train_images")
        errors.append(f"{name} {100 * means[max(counts)].mean:.2f} %")
        changes.append(f"{name} {largest_change(rows)}")
        by_count = [rows.where(train_images=count).column("error") for count in counts]
        curves.append(report.Curve(name, counts, 100 * np.stack(by_count, 1)))
    most = found.where(train_images=max(counts))
    training = report.curves_of(record, most, "network", names=NAMES)
    panel = report.CurvePanel(
        "", "training images", "test error (%)", curves, logarithmic=True, limits=(0, None)
    )
    columns = {"test error (points)": ("error", 100)}
    networks = found.values("network")
    against = "p4" if "p4" in networks else networks[0]
    report.write_page(
        record,
        __doc__,
        [
            f"Test errors with {max(counts):,} training images: {', '.join(errors)}. A 90-degree "
            f"rotation of the image changes a logit by at most: {', '.join(changes)}.",
            report.setting(record, found),
            report.Heading("Test error"),
            report.Figure(
                "error",
                report.curve_panels([panel], [NAMES[network] for network in networks]),
                f"Error on {record.task['test_examples']:,} test images against the number of "
                "training images, for equally many steps: mean and range of the seeds.",
            ),
            report.summary_table(
                found,
                {
                    "parameters": "parameters",
                    "multiply-adds": "multiply_adds",
                    "learning rate": report.learning_rate,
                    "test error (%)": ("error", 100),
                    "largest change of a logit by a 90-degree rotation": largest_change,
                },
                names=NAMES,
                caption=f"Logits of {ROTATED_IMAGES} test images, largest change over all seeds.",
            ),
            report.difference_table(found, columns, "network", against, names=NAMES),
            report.Heading("Training"),
            report.Figure(
                "learning_curves",
                report.learning_curves(training),
                "Loss and accuracy of training batches, with dropout, of the networks with most "
                "training images.",
            ),
        ],
    )


def largest_change(rows: Observations) -> str:
    """The largest change of a logit over the seeds, in words."""
    return report.format_number(rows.column("largest_change").max(), 2)
