"""Which way of halving an image keeps a network's prediction when the image is shifted, before and after training?

A layer that visits every second position sees another image when that is shifted by one. The same
small network halves the image after each of its n layers by max pooling, average pooling, strides,
blur pooling (Zhang 2019), adaptive (Chaman and Dokmanic 2021) or learnable polyphase sampling
(Rojas-Gomez et al. 2022); beyond the border of its layers lies the opposite edge (circular) or
zero; its classifier sees the maximum or the mean of each channel. Before and after training on
centred images, the same test images are classified at 2^n x 2^n shifts: circular ones, by less than
2^n pixels, where what leaves on one side enters on the other (further ones give a circular network
nothing new); and crops, windows of the image's size over the image with black around it, where what
leaves is lost, as it is to a camera.

Consistency is the probability that two shifts of an image are given the same class. It is 100 % for
a network that gives every image one class; hence kappa, the consistency beyond what a network's
shares of the classes give by chance, 0 for that network. It is 100 % for a network without errors,
too: where accuracies differ, consistency says less of the architecture, and both stand side by
side. All networks have one learning rate, which was not chosen on validation images.

    python launch.py shift_invariance          digits, 3 seeds: 10 minutes, 2 CPU cores
    python launch.py shift_invariance smoke    half a minute
    python launch.py shift_invariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator

Expected: adaptive and learnable sampling with circular borders are exactly consistent under
circular shifts, before training and after. Seen, kappa on 200 test images, mean +- 95 % interval
over 3 seeds: for these networks 100 % after training; but 6 of 12 give every image one class
before. Under crop shifts they exceed max pooling by 11.3 +- 6.6 to 21.9 +- 11.4 points with
circular borders; with zeros at the borders by 2.5 +- 4.5 to 10.6 +- 15.7, four intervals that all
contain 0. Max minus average pooling depends on the readout: 34.8 +- 5.4 points with the maximum,
-31.5 +- 11.9 with the mean (circular borders and shifts); but there average pooling is less
accurate, too, by 15.3 +- 9.0 points, and with zeros at the borders neither difference excludes 0
(5.0 +- 7.7, 6.2 +- 9.5).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, get_args

from cnnjax.run.config import Distinct, Positive, Requirement, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax.numpy as jnp
    import numpy as np

    from cnnjax import models, ops, report, symmetry, tasks

Downsampling = Literal["max", "average", "strided", "blur", "adaptive", "learnable"]
Border = Literal["circular", "zero"]
Readout = Literal["max", "mean"]
WAYS = get_args(Downsampling)
SHIFTS = ("circular", "crop")
COMPARED_WITH = {"readout": "max", "border": "circular", "downsampling": "max"}
DETECTORS = (0.3, 0.1, 1.0, 0.2, 0.1)
"""Detectors in figure 9.8 of Goodfellow, Bengio and Courville, Deep Learning, 2016."""


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    """Which ways of downsampling to compare, on what, for how long."""

    downsampling: Distinct[Downsampling] = WAYS
    """Ways of halving the image to compare."""
    features: Annotated[
        tuple[Positive, ...], Requirement(lambda layers: 1 <= len(layers) <= 3, "of 1 to 3 layers")
    ] = (16, 32, 32)
    """Output channels of each layer, after each of which the image is halved."""
    borders: Distinct[Border] = ("circular", "zero")
    """What lies beyond the border of every layer."""
    readouts: Distinct[Readout] = ("max", "mean")
    """What the classifier sees of each channel: its maximum or its mean over all positions."""
    canvas: Positive | None = 16
    """Height and width of the images; by default those of the digits, enlarged, without a margin,
    so that a crop cuts what it moves. None: as `tasks.on_canvas`."""
    shifted_images: Positive = 200
    """Test images that are classified at every shift."""
    train: TrainConfig = TrainConfig(
        steps=300, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        downsampling=("max", "adaptive"),
        borders=("circular",),
        readouts=("max",),
        seeds=(0,),
        features=(4, 8),
        shifted_images=20,
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20),
    ),
    "full": Config(
        data="mnist",
        canvas=32,
        seeds=(0, 1, 2, 3, 4),
        shifted_images=1000,
        train=TrainConfig(
            steps=3000, batch_size=256, learning_rate=2e-3, warmup_steps=100, log_every=200
        ),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir, canvas=config.canvas)
    images, labels = task.test.read(np.arange(min(config.shifted_images, len(task.test))))
    black = np.asarray(task.place(np.zeros_like(images[:1])))[:, :1, :1]
    images = np.asarray(task.place(images))
    shifts = 2 ** len(config.features)
    around = ((shifts - 1) // 2, shifts // 2)
    wide = np.pad(images - black, ((0, 0), around, around, (0, 0))) + black
    for cell in record.each(
        downsampling=config.downsampling,
        border=config.borders,
        readout=config.readouts,
        seed=config.seeds,
    ):
        conditions = {name: value for name, value in cell.items() if name != "seed"}
        model = models.ChainNet(task.classes, features=config.features, **conditions)
        network = task.network(model, config.train)
        function = network.function()
        stages = {"before": network.initial(cell["seed"]), "after": network.train(record, cell)}
        found = {}
        for stage, state in stages.items():
            circular = symmetry.classes_over_shifts(function, images, shifts, state.variables)
            crop = symmetry.classes_over_crops(function, wide, images.shape[1:3], state.variables)
            for name, classes in zip(SHIFTS, (circular, crop)):
                found[f"{stage}.{name}"] = {
                    "consistency": symmetry.shift_consistency(classes),
                    "kappa": symmetry.chance_corrected_consistency(classes),
                    "flips": symmetry.one_pixel_flip_rate(classes, periodic=name == "circular"),
                    "accuracy": symmetry.accuracy_curve(classes, labels).mean(),
                    "worst_case": symmetry.worst_case_accuracy(classes, labels),
                }
        record.observe(cell, accuracy=np.mean(circular[0, 0] == labels), **found)
    page(record.observations(), record)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    config, pooling = record.config, pooled_detectors()
    shifts = 2 ** len(config["features"])
    images = min(config["shifted_images"], record.task["test_examples"])
    results = {"seeds": found.seeds, "shifts": shifts, "shifted_images": images}
    record.results(record.task | results | {"rows": found.results(), "pooling": pooling})
    kappas = {f"{name} shifts": f"after.{name}.kappa" for name in SHIFTS}
    readout, *_ = found.values("readout")
    told = []
    for border in found.values("border"):
        here = report.summaries(found.where(border=border, readout=readout), kappas, "downsampling")
        ways = [
            f"{way} {report.listed(report.format_summary(each, 100) for each in row.values())} %"
            for way, row in here.items()
        ]
        told.append(f"{border.capitalize()} borders: {'; '.join(ways)}.")
    compared = {"accuracy (%)": ("accuracy", 100)}
    compared |= {f"kappa, {name} (%)": (kappa, 100) for name, kappa in kappas.items()}
    report.write_page(
        record,
        __doc__,
        [
            f"Kappa of trained networks with readout {readout}, under circular and crop shifts of "
            f"{images:,} test images. {' '.join(told)}",
            report.setting(record, found),
            report.Heading("Consistency beyond chance"),
            report.Figure(
                "consistency",
                report.dots(
                    report.summaries(found, kappas), "consistency beyond chance, kappa (%)"
                ),
                f"Kappa after training, over {shifts} x {shifts} circular and crop shifts of "
                f"{images:,} test images, by {report.listed(found.conditions)}: "
                f"{report.over_seeds(len(found.seeds))}.",
            ),
            *(
                report.summary_table(
                    found,
                    {
                        "accuracy, unshifted (%)": ("accuracy", 100),
                        "accuracy, shifted (%)": (f"after.{name}.accuracy", 100),
                        "correct at every shift (%)": (f"after.{name}.worst_case", 100),
                        "consistency before training (%)": (f"before.{name}.consistency", 100),
                        "consistency after (%)": (f"after.{name}.consistency", 100),
                        "kappa before training (%)": (f"before.{name}.kappa", 100),
                        "kappa after (%)": (f"after.{name}.kappa", 100),
                        "class changed by one pixel, after (%)": (f"after.{name}.flips", 100),
                    },
                    caption=f"{name.capitalize()} shifts, {shifts} x {shifts}; all on the same "
                    f"{images:,} test images. Of trained networks, where the heading does not say "
                    "before; kappa is 0 where every image is given one class.",
                )
                for name in SHIFTS
            ),
            report.Heading("Paired differences of trained networks"),
            *(
                report.difference_table(
                    found, compared, factor, against, caption=f"On {images:,} test images."
                )
                for factor, against in COMPARED_WITH.items()
                if {against} < {*found.values(factor)}
            ),
            report.Heading("What a shift by one pixel does to pooling"),
            "Figure 9.8 of Goodfellow, Bengio and Courville (2016), computed: the detectors of the "
            "first row, shifted by one position, are those of the second; beside them the maximum "
            "of each three neighbours.",
            pooling_table(pooling),
        ],
    )


def pooled_detectors() -> dict[str, dict[str, list[float]]]:
    """Detectors and the maxima of three neighbours, before and after a shift by one."""
    found = {}
    for stage, row in (("before", DETECTORS[1:]), ("after", DETECTORS[:-1])):
        pooled = ops.max_pool(jnp.array(row)[None, :, None], 3, padding="SAME")
        found[stage] = {"detectors": list(row), "pooled": np.ravel(pooled).tolist()}
    return found


def pooling_table(pooling: dict[str, dict[str, list[float]]]) -> report.Table:
    """Detectors and maxima side by side, and how many of each a shift changes."""
    before, after = pooling.values()
    rows = [
        [words, *("  ".join(f"{value:.1f}" for value in row) for row in stage.values())]
        for words, stage in (("as it was", before), ("shifted by one", after))
    ]
    detectors, maxima = (np.not_equal(before[kind], after[kind]).sum() for kind in before)
    caption = (
        f"The shift changes {detectors} of {len(DETECTORS) - 1} detectors and {maxima} of "
        f"{len(DETECTORS) - 1} maxima."
    )
    return report.Table(["image", "detectors", "maxima of three"], rows, caption=caption)
