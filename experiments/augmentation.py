"""How much accuracy does augmentation gain, and does the fill of new pixels give the transformation away?

First the cue: noise without any direction is rotated by one of eight angles, and a network predicts
the angle. Only what fills the corners can give it away. Then digits, few of them, on a grey
background: accuracy with each kind of augmentation, on test digits as they are and on moved ones,
each by a random rotation, translation, rescaling and shear. New pixels are grey or zero, in
training and in testing, in all four combinations.

Amplitudes are matched: each kind that moves pixels moves those of the 16 x 16 digit by 1.5 pixels,
root mean square, the one that combines all of them in all, and the moves of the test digits, too.
These are of the same family as four of the kinds; elastic distortion is not. Noise, cutout and
light move nothing, their amplitudes are chosen by hand. Training digits and noise are others for
every seed, the 360 test digits and their moves the same: so few that intervals over seeds and
images stand beside those over seeds.

    python launch.py augmentation            3 seeds, 2 CPU cores: 9 minutes
    python launch.py augmentation smoke      under a minute

Seen, mean of 3 seeds, one learning rate for all: of noise rotated by one of eight angles the
network finds the angle for 100 % of the images if corners are zero, for 30 % if grey (a constant,
no noise), for 15 to 19 % if circular, edge or reflected (chance 12.5 %). On moved test digits with
grey new pixels moves gain 23 points, elastic 22, translation 20, rescale 19, rotation 17, shear 10,
with intervals over seeds and images above 0; cutout 8, light 8 and noise -1 points contain 0, and
so do all nine on digits as they are. Tested with zeros, training with zeros instead of grey gains
21 to 28 points; tested with grey it costs at most 6 points, beyond the interval over seeds for
rescale alone.

Source: Simard, Steinkraus, Platt, Best practices for convolutional neural networks applied to
visual document analysis, 2003 (elastic); DeVries, Taylor, Improved regularization of convolutional
neural networks with cutout, 2017.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal, get_args

from cnnjax.data.augmentation_config import Augmentation, Move, amplitude
from cnnjax.run.config import CheckedConfig, Distinct, InputError, Positive, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax
    import numpy as np

    from cnnjax import models, report, tasks
    from cnnjax.data import datasets, rotated_backgrounds

Kind = Literal[
    "none", "rotation", "translation", "rescale", "shear", "elastic", "noise", "cutout", "light",
    "moves",
]  # fmt: skip
Padding = Literal["zeros", "grey", "edge", "reflect", "circular"]
PIXELS = 1.5
"""Root mean square distance by which the pixels of a digit are moved."""
amount = functools.partial(amplitude, side=16, canvas=24)
"""The amplitude of a move, of digits and canvas as `tasks.digits_on_grey` has them."""
MOVES: tuple[Move, ...] = get_args(Move)
AMOUNTS: dict[Kind, dict[str, Any]] = {
    "none": {},
    **{move: {move: amount(move, PIXELS)} for move in MOVES},
    "noise": {"noise": 0.1},
    "cutout": {"cutout": 6},
    "light": {"brightness": 0.2, "contrast": 1.5, "spot": 0.2},
    "moves": {move: amount(move, PIXELS / math.sqrt(len(MOVES))) for move in MOVES},
}
TEST_MOVES = {move: amount(move, PIXELS / 2) for move in MOVES if move != "elastic"}
"""How test digits are moved, by four independent moves together."""
UNFILLED: tuple[Kind, ...] = ("none", "noise", "light")
"""Kinds of augmentation that make no new pixels."""
GREY = 0.5
"""Grey level of backgrounds; ink is white."""
FILLS = {"grey": GREY, "zeros": 0.0}
"""Grey levels of new pixels around digits, and of what is cut out."""
PADDINGS: dict[Padding, dict[str, Any]] = {
    "zeros": {"fill": 0.0},
    "grey": {"fill": GREY},
    **{border: {"border": border} for border in ("edge", "reflect", "circular")},
}
"""What lies beyond the border of a rotated background, as `ops.interpolate` takes it."""
CUE_TEST_IMAGES = 500


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which augmentations to compare, on how many images."""

    kinds: Distinct[Kind] = tuple(AMOUNTS)
    """Kinds of augmentation of digits; moves are rotation to elastic together."""
    paddings: Distinct[Padding] = tuple(PADDINGS)
    """What lies beyond the border of rotated noise."""
    train_digits: Positive = 200
    """Digits to train on: few, so that augmentation matters."""
    cue_images: Positive = 1500
    """Rotated images of noise to train on, with each padding."""
    seeds: Distinct[Seed] = (0, 1, 2)
    """Seeds; for each a network is trained in every condition."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=1e-2, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        kinds=("rotation",),
        paddings=("zeros", "circular"),
        cue_images=256,
        seeds=(0,),
        train=TrainConfig(steps=40, batch_size=32, learning_rate=1e-2, log_every=20),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    stored = datasets.load("digits").train
    few = {seed: few_of(stored, config.train_digits, seed) for seed in config.seeds}
    backgrounds = rotated_backgrounds.rotated_backgrounds
    pipeline = tasks.standardised(backgrounds("noise", 1, 1), mean=GREY, std=0.2)
    for cell in record.each(part="cue", padding=config.paddings, seed=config.seeds):
        images = backgrounds(
            "noise",
            config.cue_images,
            CUE_TEST_IMAGES,
            grey=GREY,
            seed=cell["seed"],
            **PADDINGS[cell["padding"]],
        )
        task = pipeline.on(train=images.train, test=images.test)
        network = task.network(models.PlainNet(task.classes, features=(16, 32)), config.train)
        state = network.train(record, cell)
        record.observe(cell, accuracy=network.accuracy(state))

    digits = functools.lru_cache(maxsize=1)(tasks.digits_on_grey)
    moves = tuple(Augmentation(**TEST_MOVES, fill=fill) for fill in FILLS.values())
    conditions = [
        {"augmentation": kind, "fill": fill}
        for kind in config.kinds
        for fill in FILLS
        if fill == "grey" or kind not in UNFILLED
    ]
    for cell in record.each(part="digits", condition=conditions, seed=config.seeds):
        changes = Augmentation(**AMOUNTS[cell["augmentation"]], fill=FILLS[cell["fill"]])
        task = digits(changes, moves, grey=GREY).on(train=few[cell["seed"]])
        network = task.network(models.PlainNet(task.classes, features=(16, 32, 64)), config.train)
        state = network.train(record, cell)
        still, *moved = (network.correct(state, moved=number) for number in range(1 + len(FILLS)))
        record.observe(
            cell,
            accuracy=still.mean(),
            accuracy_moved={fill: each.mean() for fill, each in zip(FILLS, moved)},
            correct=still,
            correct_moved=dict(zip(FILLS, moved)),
            samples=samples(task),
        )
    page(record.observations(), record)


def few_of(digits: datasets.Split, count: int, seed: int) -> datasets.Split:
    """So many of the training digits, others for another seed.

    Raises:
      InputError: there are not as many.
    """
    if count > len(digits):
        raise InputError(f"train_digits must be at most {len(digits)}, got {count}.")
    chosen = np.random.default_rng(seed).choice(len(digits), count, replace=False)
    return datasets.Split(*digits.read(chosen))


def samples(task: tasks.Task) -> np.ndarray:
    """The first training digit augmented four times, `[4, height, width]`."""
    images, _ = task.train.read(np.zeros(4, int))
    keys = jax.random.split(jax.random.key(0), 4)
    return np.asarray(task.augment(jax.numpy.asarray(images), keys, {}))[..., 0].round(3)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    cues, digits = (found.where(part=part) for part in ("cue", "digits"))
    grey = digits.where(fill="grey")
    each_image = {"as they are": "correct", "moved, grey": "correct_moved.grey"}
    of_images = report.results_over_images(grey, tuple(each_image.values()), "augmentation", "none")
    record.results({"tasks": record.tasks, "rows": found.results(), "over_images": of_images})
    chance = 100 / record.tasks["rotated backgrounds"]["classes"]
    percent = functools.partial(report.format_summary, scale=100)
    angles = report.summaries(cues, {"predicted angle": "accuracy"}, "padding")
    moved = grey.summary("accuracy_moved.grey", "augmentation")
    still = grey.summary("accuracy", "augmentation")
    columns = {
        "as they are (%)": ("accuracy", 100),
        "moved, grey (%)": ("accuracy_moved.grey", 100),
        "moved, zeros (%)": ("accuracy_moved.zeros", 100),
    }
    words = {"fill": "new pixels in training"}
    report.write_page(
        record,
        __doc__,
        [
            f"Accuracy of the predicted angle (chance {chance:.3g} %), by padding: "
            + ", ".join(f"{name} {percent(*row.values())} %" for name, row in angles.items())
            + ". Accuracy on moved test digits, and on the same as they are, by augmentation with "
            "grey new pixels: "
            + "; ".join(
                f"{kind} {percent(each)} and {percent(still[kind])} %"
                for kind, each in moved.items()
            )
            + ".",
            report.setting(record, found),
            report.Heading("The cue"),
            report.Figure(
                "cue",
                report.dots(angles, "accuracy (%)", reference=("chance", chance)),
                f"Accuracy of the predicted angle, one of eight, of {CUE_TEST_IMAGES} images of "
                "noise, by what fills the corners (padding).",
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
                columns,
                "augmentation",
                "fill",
                names=words,
                caption=f"Accuracy on {record.tasks['digits']['test_examples']:,} test digits as "
                "they are, and moved with grey or zeros in new pixels.",
            ),
            *(
                report.difference_table(
                    compared, columns, factor, against, names=words, caption=caption
                )
                for compared, factor, against, caption in (
                    (grey, "augmentation", "none", "What each kind gains and costs."),
                    (digits, "fill", "grey", "What zeros in training change."),
                )
                if against in compared.values(factor) and len(compared.values(factor)) > 1
            ),
            report.table_over_images(
                of_images, each_image, caption="The same test digits, grey in training and testing."
            ),
        ],
    )


def sample_rows(digits: Observations) -> dict[str, list[np.ndarray | None]]:
    """The samples of each kind of augmentation, those of the fills with a gap between them."""
    return {
        kind: [image for images in group.array("samples") for image in (*images, None)][:-1]
        for kind, group in digits.groups("augmentation").items()
    }
