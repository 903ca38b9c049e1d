"""What does augmentation buy, and what does a network read from the new pixels when their fill is wrong?

First the cue: backgrounds without any direction are rotated by one of eight angles, and a network
predicts the angle. Only what fills the corners can give it away. Then digits, few of them, on a
grey background: accuracy with each kind of augmentation, on test digits as they are and on test
digits that are moved, each by a random rotation, translation, rescaling and shear.

    python launch.py augmentation            2 seeds, 2 CPU cores: 6 minutes
    python launch.py augmentation smoke      under a minute

Expected: with zeros around a grey background the accuracy is 100 %, chance being 12.5 %; on a flat
background whatever continues it leaves chance; on noise a constant of the same mean still gives
32 %, circular padding 14 %. On moved test digits the accuracy is 66 % without augmentation, 88 %
with elastic distortion, 90 % with all moves together, 87 % if the new pixels are zeros.

Source: Simard, Steinkraus, Platt, Best practices for convolutional neural networks applied to
visual document analysis, 2003 (elastic); DeVries, Taylor, Improved regularization of convolutional
neural networks with cutout, 2017.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal

from cnnjax.data.augmentation_config import Augmentation
from cnnjax.run.config import CheckedConfig, Distinct, Positive, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax
    import numpy as np

    from cnnjax import models, report, tasks
    from cnnjax.data import rotated_backgrounds

Kind = Literal[
    "none", "rotation", "translation", "rescale", "shear", "elastic", "noise", "cutout", "light",
    "moves",
]  # fmt: skip
Background = Literal["flat", "noise"]

AMOUNTS: dict[Kind, dict[str, Any]] = {
    "none": {},
    "rotation": {"rotation": 20.0},
    "translation": {"translation": 0.1},
    "rescale": {"rescale": 1.2, "zoom": 1.1},
    "shear": {"shear": 15.0},
    "elastic": {"elastic": 1.0},
    "noise": {"noise": 0.1},
    "cutout": {"cutout": 6},
    "light": {"brightness": 0.2, "contrast": 1.5, "spot": 0.2},
}
MOVES: tuple[Kind, ...] = ("rotation", "translation", "rescale", "shear", "elastic")
AMOUNTS["moves"] = {name: amount for kind in MOVES for name, amount in AMOUNTS[kind].items()}
UNFILLED: tuple[Kind, ...] = ("none", "noise", "light")
"""Kinds of augmentation that make no new pixels."""
GREY = 0.5
"""Grey level of backgrounds; ink is white."""
FILLS = {"grey": GREY, "zeros": 0.0}
"""Grey levels of new pixels around digits, and of what is cut out."""
PADDINGS: dict[str, dict[str, Any]] = {
    "zeros": {"fill": 0.0},
    "grey": {"fill": GREY},
    **{border: {"border": border} for border in ("edge", "reflect", "circular")},
}
"""What lies beyond the border of a rotated background, as `ops.interpolate` takes it."""
CUE_TEST_IMAGES = 500
MOVED = Augmentation(rotation=15.0, translation=0.08, rescale=1.15, shear=10.0, fill=GREY)
"""How test digits are moved, with the background around them."""


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which augmentations to compare, on how many images."""

    kinds: Distinct[Kind] = tuple(AMOUNTS)
    """Kinds of augmentation of digits; moves are rotation to elastic together."""
    backgrounds: Distinct[Background] = ("flat", "noise")
    """Backgrounds that are rotated: flat grey, and noise."""
    train_digits: Positive = 200
    """Digits to train on: few, so that augmentation matters."""
    cue_images: Positive = 1500
    """Rotated backgrounds to train on, for each background and padding."""
    seeds: Distinct[Seed] = (0, 1)
    """Seeds; for each a network is trained in every condition."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=1e-2, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        kinds=("none", "rotation"),
        backgrounds=("flat",),
        cue_images=128,
        seeds=(0,),
        train=TrainConfig(steps=10, batch_size=32, learning_rate=3e-3, log_every=5),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    # Made once for all seeds.
    backgrounds = functools.lru_cache(maxsize=1)(rotated_backgrounds.rotated_backgrounds)
    pipeline = tasks.standardised(backgrounds("flat", 1, 1), mean=GREY, std=0.2)
    for cell in record.each(
        part="cue", background=config.backgrounds, padding=tuple(PADDINGS), seed=config.seeds
    ):
        sizes, padding = (config.cue_images, CUE_TEST_IMAGES), PADDINGS[cell["padding"]]
        images = backgrounds(cell["background"], *sizes, grey=GREY, **padding)
        task = pipeline.on(train=images.train, test=images.test)
        network = task.network(models.PlainNet(task.classes, features=(16, 32)), config.train)
        state = network.train(record, cell)
        record.observe(cell, accuracy=network.accuracy(state))

    digits = functools.lru_cache(maxsize=1)(tasks.digits_on_grey)
    conditions = [
        {"augmentation": kind, "fill": fill}
        for kind in config.kinds
        for fill in FILLS
        if fill == "grey" or kind not in UNFILLED
    ]
    for cell in record.each(part="digits", condition=conditions, seed=config.seeds):
        changes = Augmentation(**AMOUNTS[cell["augmentation"]], fill=FILLS[cell["fill"]])
        task = digits(changes, MOVED, train_digits=config.train_digits, grey=GREY)
        network = task.network(models.PlainNet(task.classes, features=(16, 32, 64)), config.train)
        state = network.train(record, cell)
        record.observe(
            cell,
            accuracy=network.accuracy(state),
            accuracy_moved=network.accuracy(state, moved=1),
            samples=samples(task),
        )
    page(record.observations(), record)


def samples(task: tasks.Task) -> np.ndarray:
    """The first training digit augmented four times, `[4, height, width]`."""
    images, _ = task.train.read(np.zeros(4, int))
    keys = jax.random.split(jax.random.key(0), 4)
    return np.asarray(task.augment(jax.numpy.asarray(images), keys, {}))[..., 0].round(3)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    record.results({"tasks": record.tasks, "rows": found.results()})
    cues, digits = (found.where(part=part) for part in ("cue", "digits"))
    chance = 100 / record.tasks["rotated backgrounds"]["classes"]
    percent = functools.partial(report.format_summary, scale=100)
    angles = report.summaries(cues, {"predicted angle": "accuracy"}, "background", "padding")
    moved = digits.where(fill="grey").summary("accuracy_moved", "augmentation")
    report.write_page(
        record,
        __doc__,
        [
            f"Accuracy of the predicted angle (chance {chance:.3g} %), by background and padding: "
            + "; ".join(f"{name}: {percent(*row.values())} %" for name, row in angles.items())
            + ". Accuracy on moved test digits, by augmentation with grey new pixels: "
            + "; ".join(f"{kind}: {percent(each)} %" for kind, each in moved.items())
            + ".",
            report.setting(record, found),
            report.Heading("The cue"),
            report.Figure(
                "cue",
                report.dots(angles, "accuracy (%)", reference=("chance", chance)),
                "Accuracy of the predicted angle, one of eight, of backgrounds without direction, "
                "by background and by what fills the corners (padding).",
            ),
            report.Heading("What augmentation buys"),
            report.Figure(
                "samples",
                report.image_rows(sample_rows(digits.where(seed=found.seeds[0])), limits=(0, 1)),
                "One digit, augmented four times in each way: left with its grey background in new "
                "pixels, right with zeros.",
            ),
            report.summary_table(
                digits,
                {"accuracy (%)": ("accuracy", 100), "accuracy, moved (%)": ("accuracy_moved", 100)},
                "augmentation",
                "fill",
                names={"fill": "new pixels"},
                caption="Test digits as they are, and moved.",
            ),
        ],
    )


def sample_rows(digits: Observations) -> dict[str, list[np.ndarray | None]]:
    """The samples of each kind of augmentation, those of the fills with a gap between them."""
    return {
        kind: [image for images in group.array("samples") for image in (*images, None)][:-1]
        for kind, group in digits.groups("augmentation").items()
    }
