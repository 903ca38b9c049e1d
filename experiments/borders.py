"""Can a convolutional network tell where an object is, by the border of the image alone, and which padding hides it?

Two classes: a red square to the left of a green one, always in the upper half of the image, and a
green one to the left, always in the lower half. A network of shared kernels with a maximum over all
positions at the end should see only the order; but the border lets it see the half. Test images are
similar (the same halves) or dissimilar (the halves swapped, everything else alike): what is lost
between the two was read from the border. Every seed has training, validation and test images of its
own; nothing is selected on the validation images: one learning rate for all, which is not tuned.

    python launch.py borders          3 seeds: 10 minutes, 2 CPU cores
    python launch.py borders smoke    half a minute
    python launch.py borders full     epochs, batches and seeds of the source (Adam, there Adadelta)

Where the half is hidden, the expected accuracy on new images is bounded. The network sees at most
the set of its windows (17 x 17 pixels every 8); where none holds both squares, or circular ones
hold them in both orders, the order can only be guessed from the squares' positions modulo 8.
Enumeration of all images (`max_pooled_ceiling`) gives the upper bounds 67.03 % with circular and
87.24 % with full padding (without biases, as here), which memorised training images exceed.

Source: Kayhan, van Gemert, On translation invariance in CNNs: convolutional layers can exploit
absolute spatial location, 2020, section 4.1 and table 1: valid 100.0 / 0.2, same 99.8 / 8.4,
circular 73.7 / 73.7, full 89.7 / 89.7 (similar / dissimilar, %). These are no accuracies on new
images: the paper's code (`utils_red_green.py`) draws training, validation and test images in the
same order, each from `np.random.seed(1988)`, so that the similar test images are the first 1,000 of
the 2,000 training images, the dissimilar ones the same, moved. Circular and full are 4.5 and 2.3
standard errors of 1,000 images above the bounds. (Squares move by -4 to 3 rows there, by -4 to 4
here, with the same bounds; circular means PyTorch's padding before 1.5, one pixel on each side.)

Expected: circular and full exactly the same on similar and dissimilar images, because the swap is a
shift by 16 rows, which the strides divide. Seen, 3 seeds, mean +- 95 % interval (similar /
dissimilar, %): valid 100.0 +- 0.0 / 0.0 +- 0.1, same 99.5 +- 0.4 / 11.1 +- 3.3, full 85.6 +- 2.7
and circular 64.3 +- 0.6 on both; on training images full 91.3 +- 2.7, circular 79.9 +- 1.5: above
the bounds, as the published ones, around which 1,000 images scatter by 1.1 and 1.5 points (std).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Literal

from cnnjax.run.config import CheckedConfig, Distinct, Positive, Seed, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import numpy as np

    from cnnjax import layers, models, ops, report, tasks
    from cnnjax.data import red_green

Border = Literal["valid", "same", "full", "circular", "reflect"]
KINDS = {"train": "training", "validation": "validation"}
KINDS |= {kind: f"test, {kind}" for kind in ("similar", "dissimilar")}
"""Images on which each network is evaluated, and the words for them."""
KERNEL = 3
"""Height and width of every kernel."""


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which borders to compare, on how many images, for how long."""

    borders: Distinct[Border] = ("valid", "same", "full", "circular")
    """What stands around the image: nothing (valid), zeros that keep its size (same), zeros
    wherever a kernel touches the image (full), the opposite edge (circular), the image mirrored
    (reflect)."""
    seeds: Distinct[Seed] = (0, 1, 2)
    """Seeds; for each a network is trained with every border, on images of that seed."""
    train_images: Positive = 2000
    """Images to train on."""
    test_images: Positive = 1000
    """Images to validate on, and to test on in either half."""
    features: tuple[Positive, ...] = (32, 32, 64, 64)
    """Output channels of each layer."""
    strides: tuple[Positive, ...] = (1, 2, 2, 2)
    """Strides of each layer; their product must divide 16, the rows between the two halves."""
    train: TrainConfig = TrainConfig(
        steps=400, batch_size=128, learning_rate=1e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layers(self)
        if 16 % math.prod(self.strides):
            raise ValueError(
                f"strides must have a product that divides 16, got {self.strides}: else swapping "
                "the halves is no symmetry of circular layers either."
            )


PRESETS = {
    "smoke": Config(
        borders=("valid", "circular"),
        seeds=(0,),
        train_images=500,
        test_images=200,
        features=(8, 8, 16, 16),
        train=TrainConfig(steps=40, batch_size=48, learning_rate=3e-3, log_every=20),
    ),
    "full": Config(
        seeds=tuple(range(10)),
        train=TrainConfig(
            steps=500, batch_size=200, learning_rate=1e-3, warmup_steps=20, log_every=100
        ),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and test a network for every border and seed."""
    # Without a bias what is far from the squares is zero, as it is beyond a full border.
    conv = functools.partial(layers.Conv, use_bias=False)
    sizes = config.train_images, config.test_images
    task = tasks.standardised(red_green.dataset(config.seeds[0], *sizes))
    for cell in record.each(border=config.borders, seed=config.seeds):
        # 'SAME' of a strided layer would pad one side alone.
        padding = 1 if cell["border"] == "same" else cell["border"].upper()
        model = models.ConvNet(task.classes, conv, config.features, config.strides, KERNEL, padding)
        similar = dataclasses.replace(task, dataset=red_green.dataset(cell["seed"], *sizes))
        swapped = red_green.dataset(cell["seed"], *sizes, swapped=True)
        dissimilar = similar.on(test=swapped.test)
        network = similar.network(model, config.train)
        state = network.train(record, cell)
        record.observe(
            cell,
            accuracy_train=network.accuracy(state, "train"),
            accuracy_validation=network.accuracy(state, "validation"),
            accuracy_similar=network.accuracy(state),
            accuracy_dissimilar=dissimilar.network(model, config.train).accuracy(state),
        )
    page(record.observations(), record)


def ceiling(border: Border, strides: Sequence[int]) -> float | None:
    """Largest expected accuracy on new images where the border hides the half, or else None."""
    if border not in ("circular", "full"):
        return None
    window, stride = ops.receptive_field([(KERNEL, each, 1) for each in strides])
    return red_green.max_pooled_ceiling(window, stride, border)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    groups, strides = found.groups("border"), record.config["strides"]
    rows, shown, accuracies, limits = found.results(), [], [], []
    for row in rows:
        border, limit = row["border"], ceiling(row["border"], strides)
        row |= {"equal": not gap(groups[border], "similar", "dissimilar").any(), "ceiling": limit}
        text = {kind: report.format_summary(row[f"accuracy_{kind}"], 100) for kind in KINDS}
        accuracies.append(f"{border} {text['similar']} / {text['dissimilar']} %")
        if limit is not None:
            limits.append(f"{border} {text['train']} and {100 * limit:.1f} %")
        lost = summarize(gap(groups[border], "train", "similar"))
        shown.append({**row, "lost": lost, "limit": limit and f"{100 * limit:.2f}"})
    record.results({**record.task, "seeds": found.seeds, "rows": rows})
    equal = ", ".join(row["border"] for row in rows if row["equal"]) or "none"
    series = {words: f"accuracy_{kind}" for kind, words in KINDS.items() if kind != "validation"}
    drawn = report.summaries(found, series)
    images, over = record.task["test_examples"], report.over_seeds(len(found.seeds))
    report.write_page(
        record,
        __doc__,
        [
            f"Accuracy on {images:,} similar / dissimilar test images: {', '.join(accuracies)}. "
            f"Equal for every seed, to the last digit: {equal}. Accuracy on training images, and "
            f"bound of the expected one on new images: {', '.join(limits) or report.MISSING}.",
            report.setting(record, found),
            report.Heading("Accuracy by border"),
            report.Figure(
                "accuracy",
                report.dots(drawn, "accuracy (%)", reference=("chance", 50)),
                "Accuracy on training images, and on new ones with the classes in the halves they "
                f"had in training (similar) or swapped (dissimilar), {images:,} each: {over}.",
            ),
            report.rows_table(
                shown,
                {"border": "border"}
                | {f"{words} (%)": (f"accuracy_{kind}", 100) for kind, words in KINDS.items()}
                | {
                    "bound on new images (%)": "limit",
                    "training minus similar (points)": ("lost", 100),
                    "equal for every seed": "equal",
                },
                f"New images for every seed, {images:,} a test. Bound: of the expected accuracy, "
                f"where the border hides the half. Equal: the two test accuracies. All: {over}.",
            ),
        ],
    )


def gap(group: Observations, one: str, other: str) -> np.ndarray:
    """Accuracy of each network on images of one kind minus that on another."""
    return group.column(f"accuracy_{one}") - group.column(f"accuracy_{other}")
