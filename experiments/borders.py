"""Can a convolutional network tell where an object is, by the border of the image alone, and which padding hides it?

Two classes: a red square to the left of a green one, always in the upper half of the image, and a
green one to the left, always in the lower half. A network of shared kernels with a maximum over all
positions at the end should see only the order; but the border lets it see the half. Test images are
similar (the same halves) or dissimilar (the halves swapped, everything else alike): what is lost
between the two was read from the border.

Every seed has training, validation and test images of its own. Nothing is selected on the
validation images.

    python launch.py borders          3 seeds: a quarter of an hour, 2 CPU cores
    python launch.py borders smoke    half a minute

Expected: valid at least 99 % / at most 1 % (similar / dissimilar), same at least 99 / at most 15;
circular and full exactly the same on both, because the swap is a shift by 16 rows, which the
strides divide. Seen, mean of 3 seeds: valid 100.0 / 0.03, same 99.5 / 11.1, full 85.6 / 85.6,
circular 64.3 / 64.3.

Source: Kayhan, van Gemert, On translation invariance in CNNs: convolutional layers can exploit
absolute spatial location, 2020, section 4.1 and table 1; there valid 100.0 / 0.2, same 99.8 / 8.4,
circular 73.7 / 73.7, full 89.7 / 89.7 (similar / dissimilar, %). Its code draws training,
validation and test images with one seed.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal

from cnnjax.run.config import CheckedConfig, Distinct, Positive, Seed, require_layers
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import numpy as np

    from cnnjax import layers, models, report, tasks
    from cnnjax.data import datasets, red_green

Border = Literal["valid", "same", "full", "circular", "reflect"]
PADDINGS = {
    "valid": "VALID",
    "same": 1,  # on both sides, where 'SAME' of a strided layer pads one side alone
    "full": "FULL",
    "circular": "CIRCULAR",
    "reflect": "REFLECT",
}


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
}


def run(config: Config, record: Record) -> None:
    """Train and test a network for every border and seed."""
    # Without a bias what is far from the squares is zero, as it is beyond a full border.
    conv = functools.partial(layers.Conv, use_bias=False)
    task = make_task(**splits(config, config.seeds[0]))
    for cell in record.each(border=config.borders, seed=config.seeds):
        padding = PADDINGS[cell["border"]]
        model = models.ConvNet(task.classes, conv, config.features, config.strides, 3, padding)
        similar = task.on(**splits(config, cell["seed"]))
        dissimilar = task.on(**splits(config, cell["seed"], swapped=True))
        network = similar.network(model, config.train)
        state = network.train(record, cell)
        record.observe(
            cell,
            accuracy_validation=network.accuracy(state, "validation"),
            accuracy_similar=network.accuracy(state),
            accuracy_dissimilar=dissimilar.network(model, config.train).accuracy(state),
        )
    page(record.observations(), record)


def splits(config: Config, seed: int, *, swapped: bool = False) -> dict[str, datasets.Split]:
    """Images of a seed, from three streams that no other seed shares; `swapped` is the test's."""
    train, validation, test = (3 * seed + stream for stream in range(3))
    return {
        "train": red_green.red_green(train, config.train_images),
        "validation": red_green.red_green(validation, config.test_images),
        "test": red_green.red_green(test, config.test_images, swapped=swapped),
    }


def make_task(**splits: datasets.Split) -> tasks.Task:
    """The two classes, in values from 0 to 1."""
    dataset = datasets.Dataset(
        **splits,
        name="red_green",
        version="1.0.0",
        num_classes=2,
        class_names=("red left of green", "green left of red"),
        citation="Kayhan, van Gemert, On translation invariance in CNNs, 2020",
    )
    return tasks.standardised(dataset)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    rows: list[dict[str, Any]] = [
        {**row, "equal": is_equal(found.where(border=row["border"]))} for row in found.results()
    ]
    record.results({**record.task, "seeds": found.seeds, "rows": rows})
    accuracies = ", ".join(
        f"{row['border']} {100 * row['accuracy_similar'].mean:.1f} / "
        f"{100 * row['accuracy_dissimilar'].mean:.1f} %"
        for row in rows
    )
    equal = ", ".join(row["border"] for row in rows if row["equal"]) or "none"
    report.write_page(
        record,
        __doc__,
        [
            f"Test accuracy on similar / dissimilar images: {accuracies}. "
            f"Equal for every seed, to the last digit: {equal}.",
            report.setting(record, found),
            report.Heading("Accuracy by border"),
            report.Figure(
                "accuracy",
                report.dots(
                    report.summaries(
                        found, {kind: f"accuracy_{kind}" for kind in ("similar", "dissimilar")}
                    ),
                    "test accuracy (%)",
                    reference=("chance", 100 / record.task["classes"]),
                ),
                "Accuracy where the classes are in the halves they had in training (similar), and "
                f"with the halves swapped (dissimilar); {record.task['test_examples']:,} test "
                "images each.",
            ),
            report.summary_table(
                found,
                {
                    "validation (%)": ("accuracy_validation", 100),
                    "similar (%)": ("accuracy_similar", 100),
                    "dissimilar (%)": ("accuracy_dissimilar", 100),
                    "equal for every seed": lambda group: "yes" if is_equal(group) else "no",
                },
                caption="Accuracy on validation images, and on test images in either half.",
            ),
        ],
    )


def is_equal(group: Observations) -> bool:
    """Whether each network is as accurate in one half as in the other."""
    similar, dissimilar = map(group.column, ("accuracy_similar", "accuracy_dissimilar"))
    return bool(np.array_equal(similar, dissimilar))
