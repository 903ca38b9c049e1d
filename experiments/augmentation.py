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
import math
from typing import Any, Literal

from cnnjax.data.augmentation_config import Augmentation
from cnnjax.run.config import CheckedConfig, Distinct, Positive, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax
    import jax.numpy as jnp
    import numpy as np
    from matplotlib import figure

    from cnnjax import models, ops, report, tasks
    from cnnjax.data import augmentation, datasets

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
    "edge": {"border": "edge"},
    "reflect": {"border": "reflect"},
    "circular": {"border": "circular"},
}
"""What lies beyond the border of a rotated background, as `ops.interpolate` takes it."""
ROTATED, ROTATED_TEST_IMAGES, SIDE = "rotated backgrounds", 500, 24
ANGLES = 8
"""Classes: multiples of 90 / 8 degrees; further rotations look alike on a square border."""
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
    pipeline = rotation_task()
    for cell in record.each(
        part="cue", background=config.backgrounds, padding=tuple(PADDINGS), seed=config.seeds
    ):
        condition = cell["background"], cell["padding"]
        task = pipeline.on(
            train=rotated_backgrounds(*condition, config.cue_images, seed=0),
            test=rotated_backgrounds(*condition, ROTATED_TEST_IMAGES, seed=1),
        )
        network = task.network(models.PlainNet(ANGLES, features=(16, 32)), config.train)
        state = network.train(record, cell)
        record.observe(cell, accuracy=network.accuracy(state))

    conditions = [
        {"augmentation": kind, "fill": fill}
        for kind in config.kinds
        for fill in FILLS
        if fill == "grey" or kind not in UNFILLED
    ]
    for cell in record.each(part="digits", condition=conditions, seed=config.seeds):
        changes = Augmentation(**AMOUNTS[cell["augmentation"]], fill=FILLS[cell["fill"]])
        task = digits_on_grey(changes, config.train_digits)
        network = task.network(models.PlainNet(task.classes, features=(16, 32, 64)), config.train)
        state = network.train(record, cell)
        record.observe(
            cell,
            accuracy=network.accuracy(state),
            accuracy_moved=network.accuracy(state, moved=1),
            samples=samples(task, changes),
        )
    page(record.observations(), record)


def rotation_task() -> tasks.Task:
    """Which of eight angles was an image rotated by? Without examples, see `rotated_backgrounds`."""
    nothing = datasets.Split(np.zeros((0, SIDE, SIDE, 1), np.uint8), np.zeros(0, np.int32))
    names = tuple(f"{90 * number / ANGLES:.4g} degrees" for number in range(ANGLES))
    dataset = datasets.Dataset(ROTATED, "1.0.0", nothing, nothing, ANGLES, names, "")

    def standardised(images, keys=None, source=None):
        return (jnp.asarray(images).astype(jnp.float32) / 255 - 0.5) / 0.2

    return tasks.Task(dataset, standardised, standardised, jax.jit(standardised))


@functools.lru_cache(maxsize=2)  # training and test images, for all seeds
def rotated_backgrounds(
    background: Background, padding: str, count: int, seed: int
) -> datasets.Split:
    """Backgrounds without direction, each rotated by one of eight angles, which is its label.

    Args:
      background: 'flat', grey everywhere; 'noise', smoothed noise about grey, of the same
        statistics in all directions.
      padding: what lies beyond the border, a name of PADDINGS.
      count: number of images.
      seed: of noise and angles.
    """
    draw = np.random.default_rng(seed)
    values = np.full((count, SIDE, SIDE), GREY)
    if background == "noise":
        spectrum = np.fft.fft2(draw.normal(size=values.shape))
        frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
        smooth = np.fft.ifft2(spectrum * np.exp(-((frequency / 0.15) ** 2))).real
        values = GREY + 0.12 * smooth / smooth.std()
    labels = draw.integers(ANGLES, size=count).astype(np.int32)

    @jax.jit
    @jax.vmap
    def rotated(image, label):
        angle = math.pi / 2 * label / ANGLES
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        sources = ops.affine_sources((SIDE, SIDE), jnp.array([[cos, -sin], [sin, cos]]))
        image = ops.interpolate(image, sources, **PADDINGS[padding])
        # Rotation makes noise smoother where it falls between pixels: blur all angles alike.
        x = jnp.pad(image[..., 0], 1, mode="edge")
        x = (x[:-2] + 2 * x[1:-1] + x[2:]) / 4
        x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
        return jnp.clip(255 * x, 0, 255).round()[..., None]

    images = rotated(jnp.asarray(values, jnp.float32)[..., None], labels)
    return datasets.Split(np.asarray(images).astype(np.uint8), labels)


@functools.lru_cache(maxsize=1)  # compiled once for all seeds
def digits_on_grey(changes: Augmentation, train_digits: int) -> tasks.Task:
    """scikit-learn's digits, white on grey, 16 x 16 on a canvas of 24 x 24.

    In evaluation, `moved=1` of the source moves every test image, each in a way of its own, always
    the same; `moved=0`, the default, leaves it as it is.

    Args:
      changes: augmentation of training images.
      train_digits: number of training images, the first of the data set's.
    """
    stored = datasets.load("digits")
    few = datasets.Split(stored.train.images[:train_digits], stored.train.labels[:train_digits])
    dataset = dataclasses.replace(stored, train=few)

    def plain(images):
        ink = jnp.asarray(images).astype(jnp.float32) / 255
        ink = jax.image.resize(ink, (len(ink), 16, 16, 1), "linear")
        ink = jnp.pad(ink, ((0, 0), (4, 4), (4, 4), (0, 0)))
        return GREY + (1 - GREY) * ink

    def augment(images, keys, source):
        del source
        return augmentation.augment(plain(images), keys, changes)

    def augment_test(images, keys, source):
        still = plain(images)
        return jnp.where(source["moved"] > 0, augmentation.augment(still, keys, MOVED), still)

    return tasks.Task(dataset, augment, augment_test, jax.jit(plain), {"moved": 0})


def samples(task: tasks.Task, changes: Augmentation) -> np.ndarray:
    """The first training digit augmented four times, `[4, height, width]`."""
    images, _ = task.train.read(np.zeros(4, int))
    keys = jax.random.split(jax.random.key(0), 4)
    return np.asarray(augmentation.augment(task.place(images), keys, changes))[..., 0].round(3)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    record.results({"tasks": record.tasks, "rows": found.results()})
    cues, digits = (found.where(part=part) for part in ("cue", "digits"))
    chance = 100 / record.tasks[ROTATED]["classes"]
    percent = functools.partial(report.format_summary, scale=100)
    angles = report.summaries(cues, {"predicted angle": "accuracy"}, "background", "padding")
    moved = digits.summary("accuracy_moved", "augmentation", "fill")
    grey = ((kind, percent(each)) for (kind, fill), each in moved.items() if fill == "grey")
    report.write_page(
        record,
        __doc__,
        [
            f"Accuracy of the predicted angle (chance {chance:.3g} %), by background and padding: "
            + "; ".join(f"{name}: {percent(*row.values())} %" for name, row in angles.items())
            + ". Accuracy on moved test digits, by augmentation with grey new pixels: "
            + "; ".join(f"{kind}: {accuracy} %" for kind, accuracy in grey)
            + ".",
            report.setting(record, found),
            report.Heading("The cue"),
            report.Figure(
                "cue",
                report.dots(angles, "accuracy (%)", reference=("chance", chance)),
                "Accuracy of the predicted angle, one of eight, of backgrounds without direction, "
                "by background and by what fills the corners (padding).",
            ),
            report.Heading("What the network sees"),
            report.Figure(
                "samples",
                report.styled(samples_figure)(digits.where(seed=found.seeds[0])),
                "One digit, augmented four times in each way: left with its grey background in new "
                "pixels, right with zeros.",
            ),
            report.Heading("What augmentation buys"),
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


def samples_figure(digits: Observations) -> figure.Figure:
    """A row for each kind of augmentation: its images with each fill."""
    kinds = digits.values("augmentation")
    canvas = figure.Figure(figsize=(report.DOUBLE_COLUMN, 0.72 * len(kinds) + 0.1))
    grid = canvas.subplots(len(kinds), 10, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for line, kind in zip(grid, kinds):
        line[0].text(1.0, 0.5, kind, ha="right", va="center", transform=line[0].transAxes)
        for first, fill in zip((1, 6), FILLS):
            for group in digits.where(augmentation=kind, fill=fill).groups().values():
                for axes, image in zip(line[first:], group.array("samples")[0]):
                    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    return canvas
