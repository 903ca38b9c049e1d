"""Does a network that sees its own labels label pixels better with every iteration?

A recurrent convolutional network labels every pixel of digits on a textured background: as
background, or as ink of one of the digits. It estimates the labels, looks at the image and at its
estimate, and estimates again, with the same weights; in training the loss of every estimate counts.
The control estimates once. Test images are made of other digits than training images.

    python launch.py segmentation            2 seeds, 2 CPU cores: minutes
    python launch.py segmentation smoke      under a minute

Expected: intersection over union of the digits about 0.37, 0.54 and 0.60 after one, two and three
iterations; 0.39 of the control.

Source: Pinheiro, Collobert, Recurrent convolutional neural networks for scene labeling, 2014;
Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.17.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from cnnjax.run.config import CheckedConfig, Distinct, Positive, Seed, between
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import numpy as np
    from matplotlib import colors, figure, patches

    from cnnjax import inspect, models, report, tasks

NUMBERS = {
    "accuracy": "accuracy of pixels (%)",
    "background_iou": "IoU, background (%)",
    "foreground_iou": "IoU, digits (%)",
    "mean_iou": "IoU, all classes (%)",
}
COLORS = (
    "#1c1c1c", "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442",
    "#8c8c8c", "#ffffff", "#7a5230",
)  # fmt: skip
"""Colours of the background and of up to ten digits."""


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which networks, on how many images, for how long."""

    iterations: Distinct[Positive] = (1, 3)
    """Numbers of iterations, a network for each."""
    features: Positive = 24
    """Channels of the hidden layers."""
    digits: Distinct[Annotated[int, between(0, 10)]] = (0, 1, 4, 7)
    """Digits to tell apart."""
    train_images: Positive = 2000
    """Images to train on."""
    test_images: Positive = 200
    """Images to test on, made of other digits."""
    shown_images: Positive = 4
    """Test images that are drawn."""
    seeds: Distinct[Seed] = (0, 1)
    """Seeds; for each a network is trained with every number of iterations."""
    train: TrainConfig = TrainConfig(
        steps=500,
        batch_size=32,
        learning_rate=1e-2,
        warmup_steps=20,
        auxiliary_weight=1.0,
        log_every=100,
    )
    """How to train; the last estimate's loss has weight 1, those before auxiliary_weight."""


PRESETS = {
    "smoke": Config(
        iterations=(1, 2),
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
    images, labels = task.test.read(np.arange(config.test_images))
    shown = slice(config.shown_images)
    for cell in record.each(iterations=config.iterations, seed=config.seeds):
        model = models.RecurrentSegmentation(task.classes, cell["iterations"], config.features)
        network = task.network(model, config.train)
        state = network.train(record, cell)
        estimates = network.compute(_estimated_labels, state.variables, task.place(images))
        record.observe(
            cell,
            parameters=network.parameters,
            **{
                f"after{number}": inspect.segmentation_metrics(estimate, labels, task.classes)
                for number, estimate in enumerate(estimates, start=1)
            },
            images=images[shown, ..., 0],
            labels=labels[shown],
            estimates=[estimate[shown] for estimate in estimates],
        )
    page(record.observations(), record)


def _estimated_labels(model: models.RecurrentSegmentation, variables: Any, images: Any) -> Any:
    estimates: Any = model.apply(variables, images, method="estimates")
    return [estimate.argmax(-1) for estimate in estimates]


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    record.results({**record.task, "rows": found.results()})
    overlaps = (
        f"{', '.join(after(found, total, n, 'foreground_iou') for n in range(1, total + 1))} % by "
        f"the network of {report.counted(total, 'iteration')}"
        for total in found.values("iterations")
    )
    seed = found.seeds[0]
    longest = found.where(iterations=max(found.values("iterations")), seed=seed)
    report.write_page(
        record,
        __doc__,
        [
            "Intersection over union of the digits, mean over their classes, after each iteration: "
            f"{'; '.join(overlaps)}.",
            report.setting(record, found),
            report.Heading("Estimates"),
            report.Figure(
                "estimates",
                report.styled(estimates_figure)(longest, record.task["class_names"]),
                f"Test images, their labels, the estimate after each iteration; seed {seed}.",
            ),
            report.Heading("Overlap by iteration"),
            overlap_table(found),
        ],
    )


def after(found: Observations, iterations: int, number: int, name: str) -> str:
    """Percentage of the networks of so many iterations, after one of their iterations."""
    column = found.where(iterations=iterations).column(f"after{number}.{name}")
    return report.format_summary(summarize(column), 100)


def overlap_table(found: Observations) -> report.Table:
    """Every number of every network, after each of its iterations."""
    rows = [
        [
            str(iterations),
            report.format_count(group.column("parameters")[0]),
            str(number),
            *(after(found, iterations, number, name) for name in NUMBERS),
        ]
        for iterations, group in found.groups("iterations").items()
        for number in range(1, iterations + 1)
    ]
    return report.Table(
        ["iterations", "parameters", "after iteration", *NUMBERS.values()],
        rows,
        caption="IoU: pixels both predicted and true over pixels either, all test images together, "
        f"mean over classes. Numbers: {report.over_seeds(len(found.seeds))}.",
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
