"""Does a network that sees its own labels segment better with every iteration?

A recurrent convolutional network labels every pixel of digits on a textured background: as
background, or as ink of one of the digits. It estimates the labels, looks at the image and at its
estimate, and estimates again, with the same weights; in training the loss of every estimate counts.
Iterations also cost more, have a larger receptive field and more losses, which five arms tell
apart, each with a learning rate chosen by --tune on validation images:

    recurrent    n iterations, each sees the labels estimated before
    zeroed       the same with zeros in place of the labels, n losses of one estimate
    untied       n iterations that see the labels, each with weights of its own
    deep         one estimate of 2 n convolutions, as many as n iterations, without labels between
    single       one estimate of two convolutions

    python launch.py segmentation            5 seeds, 2 CPU cores: 12 minutes
    python launch.py segmentation smoke      under a minute
    python launch.py segmentation --tune --tuning-seeds 1000    choose the learning rates

Test images are made of other digits than training images, the same for all seeds. They are few, so
intervals over seeds and images stand beside those over seeds: of the accuracy of each image, and of
its intersection over union, of all digits together, since some are missing in it.

Seen, mean of 5 seeds after 400 steps, intersection over union of an image: recurrent 38 %, more
than zeroed and single, which are alike (30 %), by 8 (1 to 15) points over seeds and images; untied
51 %, no difference from recurrent beyond its interval; deep, with 3.9 times the weights, 73 %, 35
(17 to 57) points more. Labels help, depth and receptive field help more. The best rate of zeroed,
untied and single was the highest tried.

Source: Pinheiro, Collobert, Recurrent convolutional neural networks for scene labeling, 2014;
Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.17.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, Literal

from cnnjax.run.cells import Cell
from cnnjax.run.config import Distinct, Positive, Seed, between
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from cnnjax.train.tuning import TunedConfig, tune

with lazy_imports():
    import numpy as np
    from matplotlib import colors, figure, patches

    from cnnjax import inspect, models, report, tasks

Arm = Literal["recurrent", "zeroed", "untied", "deep", "single"]
NUMBERS = {
    "accuracy": "accuracy of pixels (%)",
    "background_iou": "IoU, background (%)",
    "foreground_iou": "IoU, digits (%)",
    "mean_iou": "IoU, all classes (%)",
}
IMAGES = {"accuracy of pixels": "pixels", "IoU of an image": "overlap"}
"""What is measured of every test image."""
AGAINST = "recurrent"
"""The arm that others are compared with."""
COLORS = (
    "#1c1c1c", "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442",
    "#8c8c8c", "#ffffff", "#7a5230",
)  # fmt: skip
"""Colours of the background and of up to ten digits."""


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig):
    """Which networks, on how many images, for how long."""

    arms: Distinct[Arm] = ("recurrent", "zeroed", "untied", "deep", "single")
    """Networks to compare."""
    iterations: Positive = 3
    """Iterations of those that have several, n."""
    features: Positive = 16
    """Channels of the hidden layers."""
    digits: Distinct[Annotated[int, between(0, 10)]] = (0, 1, 4, 7)
    """Digits to tell apart."""
    train_images: Positive = 2000
    """Images to train on."""
    test_images: Positive = 200
    """Images to test on, made of other digits."""
    shown_images: Positive = 4
    """Test images that are drawn."""
    seeds: Distinct[Seed] = (0, 1, 2, 3, 4)
    """Seeds; for each a network of every arm is trained."""
    train: TrainConfig = TrainConfig(
        steps=400,
        batch_size=32,
        learning_rate=1e-2,
        warmup_steps=20,
        auxiliary_weight=1.0,
        log_every=100,
    )
    """How to train, the same for all but for the learning rate; the last estimate's loss has weight
    1, those before auxiliary_weight."""


PRESETS = {
    # The rates that --tune chose, see results/segmentation/tuning: 3 is its largest.
    "default": Config(rate_factors={"zeroed": 3, "untied": 3, "single": 3}),
    "smoke": Config(
        arms=("recurrent", "single"),
        iterations=2,
        features=4,
        train_images=64,
        test_images=16,
        shown_images=2,
        seeds=(0,),
        train=TrainConfig(
            steps=20, batch_size=16, learning_rate=3e-2, auxiliary_weight=1.0, log_every=5
        ),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.textured_digits(
        train_images=config.train_images, test_images=config.test_images, digits=config.digits
    )

    def network_of(cell: Cell) -> tasks.Network:
        model = models.RecurrentSegmentation(
            task.classes, features=config.features, **variant(cell["arm"], config.iterations)
        )
        return task.network(model, config.train_for(cell, "arm"))

    def validated(cell: Cell) -> functools.partial:
        network = network_of(cell)
        return functools.partial(network.evaluate, network.train(record, cell))

    if config.tune:
        tune(config, record, validated, arm=config.arms)
        report.write_tuning_page(record, __doc__)
        return
    images, labels = task.test.read(np.arange(config.test_images))
    shown = slice(config.shown_images)
    for cell in record.each(arm=config.arms, seed=config.seeds):
        network = network_of(cell)
        state = network.train(record, cell)
        estimates = network.compute(_estimated_labels, state.variables, task.place(images))
        measured = [
            inspect.segmentation_metrics(estimate, labels, task.classes) for estimate in estimates
        ]
        record.observe(
            cell,
            learning_rate=network.training.config.learning_rate,
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            final=measured[-1],
            **{f"after{number}": numbers for number, numbers in enumerate(measured, start=1)},
            pixels=(estimates[-1] == labels).mean((1, 2)),
            overlap=inspect.image_overlap(estimates[-1], labels),
            images=images[shown, ..., 0],
            labels=labels[shown],
            estimates=[estimate[shown] for estimate in estimates],
        )
    page(record.observations(), record)


def variant(arm: Arm, iterations: int) -> dict[str, Any]:
    """What the network of an arm differs in."""
    return {
        "recurrent": {"iterations": iterations},
        "zeroed": {"iterations": iterations, "feedback": "zero"},
        "untied": {"iterations": iterations, "tied": False},
        "deep": {"iterations": 1, "depth": 2 * iterations - 1},
        "single": {"iterations": 1},
    }[arm]


def _estimated_labels(model: models.RecurrentSegmentation, variables: Any, images: Any) -> Any:
    estimates: Any = model.apply(variables, images, method="estimates")
    return [estimate.argmax(-1) for estimate in estimates]


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    of_images = report.results_over_images(found, tuple(IMAGES.values()), "arm", AGAINST)
    record.results({**record.task, "rows": found.results(), "over_images": of_images})
    overlaps = found.summary("final.foreground_iou", "arm")
    listed = ", ".join(
        f"{arm} {report.format_summary(each, 100)} %" for arm, each in overlaps.items()
    )
    arm, seed = found.values("arm")[0], found.seeds[0]
    final = {words: (f"final.{name}", 100) for name, words in NUMBERS.items()}
    report.write_page(
        record,
        __doc__,
        [
            "Intersection over union of the digits, mean over their classes, last estimate: "
            f"{listed}.",
            report.setting(record, found),
            report.Heading("Estimates"),
            report.Figure(
                "estimates",
                report.styled(estimates_figure)(
                    found.where(arm=arm, seed=seed), record.task["class_names"]
                ),
                f"Test images, their labels, the estimate after each iteration; {arm}, seed "
                f"{seed}.",
            ),
            report.Heading("Last estimate"),
            report.summary_table(
                found,
                {
                    "learning rate": report.learning_rate,
                    "parameters": "parameters",
                    "multiply-adds per image": "multiply_adds",
                    **final,
                },
                caption="IoU: pixels both predicted and true over pixels either, all "
                f"{record.task['test_examples']:,} test images together, mean over classes.",
            ),
            *(
                [report.difference_table(found, final, "arm", AGAINST)]
                if AGAINST in found.values("arm")
                else []
            ),
            report.table_over_images(
                of_images,
                IMAGES,
                caption="Last estimate, mean over images; IoU of all digits of an image together.",
            ),
            report.Heading("Overlap by iteration"),
            report.summary_table(
                found,
                {
                    f"after iteration {number} (%)": (f"after{number}.foreground_iou", 100)
                    for number in range(1, record.config["iterations"] + 1)
                    if f"after{number}.foreground_iou" in found.numbers
                },
                caption="IoU, digits. Estimates before the last are trained with weight "
                f"{record.config['train']['auxiliary_weight']:g}, the last with 1.",
            ),
        ],
    )


def estimates_figure(found: Observations, class_names: list[str]) -> figure.Figure:
    """A row for each image: itself, its labels, the estimates of one network."""
    images, labels, estimates = (found.array(n)[0] for n in ("images", "labels", "estimates"))
    titles = ["image", "labels", *(f"iteration {n + 1}" for n in range(len(estimates)))]
    size = report.DOUBLE_COLUMN / max(len(titles), 5)
    canvas = figure.Figure(figsize=(size * len(titles), size * len(images) + 0.5))
    grid = canvas.subplots(len(images), len(titles), squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, title in zip(grid[0], titles):
        axes.set_title(title)
    classes = colors.ListedColormap(COLORS[: len(class_names)])
    for line, image, *labelled in zip(grid, images, labels, *estimates):
        line[0].imshow(image, cmap="gray", vmin=0, vmax=255)
        for axes, each in zip(line[1:], labelled):
            axes.imshow(each, classes, vmin=-0.5, vmax=classes.N - 0.5, interpolation="nearest")
    handles = [
        patches.Patch(facecolor=color, edgecolor="#8c8c8c", linewidth=0.5, label=name)
        for name, color in zip(class_names, COLORS)
    ]
    canvas.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=1)
    return canvas
