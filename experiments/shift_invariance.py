"""Which way of halving an image keeps a network's prediction when the image is shifted, before and after training?

A layer that visits every second position sees another image when that is shifted by one. The same
small network, all circular, halves the image after each of its n layers by max pooling, average
pooling, strides, blur pooling (Zhang 2019), adaptive (Chaman and Dokmanic 2021) or learnable
polyphase sampling (Rojas-Gomez et al. 2022). Before and after training on centred images, test
images are shifted circularly by every 0 to 2^n - 1 pixels on both axes; further shifts give nothing
new, because all networks are exactly invariant to shifts by 2^n.

    python launch.py shift_invariance          digits, 3 seeds: a few minutes, 2 CPU cores
    python launch.py shift_invariance smoke    half a minute
    python launch.py shift_invariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator

Expected: adaptive and learnable sampling consistent on exactly 100.00 % of all pairs of shifts,
before training and after; blur pooling some points above max pooling; strides lowest.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, get_args

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
WAYS = get_args(Downsampling)
STAGES = ("before", "after")
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
    shifted_images: Positive = 200
    """Test images that are classified at every shift."""
    train: TrainConfig = TrainConfig(
        steps=300, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        downsampling=("max", "adaptive"),
        seeds=(0,),
        features=(4, 8),
        shifted_images=20,
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        shifted_images=1000,
        train=TrainConfig(
            steps=3000, batch_size=256, learning_rate=2e-3, warmup_steps=100, log_every=200
        ),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train and measure every network."""
    task = tasks.on_canvas(config.data, config.data_dir)
    images, labels = task.test.read(np.arange(min(config.shifted_images, len(task.test))))
    images = task.place(images)
    shifts = 2 ** len(config.features)
    for cell in record.each(downsampling=config.downsampling, seed=config.seeds):
        model = models.ChainNet(
            task.classes, downsampling=cell["downsampling"], features=config.features, readout="max"
        )
        network = task.network(model, config.train)
        states = network.initial(cell["seed"]), network.train(record, cell)
        classes = [
            symmetry.classes_over_shifts(network.function(), images, shifts, state.variables)
            for state in states
        ]
        record.observe(
            cell,
            accuracy=network.accuracy(states[1]),
            **{
                stage: {
                    "consistency": symmetry.shift_consistency(found),
                    "flips": symmetry.one_pixel_flip_rate(found),
                    "worst_case": symmetry.worst_case_accuracy(found, labels),
                }
                for stage, found in zip(STAGES, classes)
            },
        )
    page(record.observations(), record)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    rows, pooling = found.results(), pooled_detectors()
    shifts = 2 ** len(record.config["features"])
    images = min(record.config["shifted_images"], record.task["test_examples"])
    record.results(
        {
            **record.task,
            "seeds": found.seeds,
            "shifts": shifts,
            "shifted_images": images,
            "rows": rows,
            "pooling": pooling,
        }
    )
    consistency = found.summary("after.consistency", "downsampling")
    listed = ", ".join(f"{name} {100 * each.mean:.2f} %" for name, each in consistency.items())
    lowest = min(row[f"{stage}.consistency"].mean for row in rows for stage in STAGES)
    report.write_page(
        record,
        __doc__,
        [
            f"Pairs of shifts at which a trained network predicts the same class: {listed}.",
            report.setting(record, found),
            report.Heading("Consistency"),
            report.Figure(
                "consistency",
                report.dots(
                    report.summaries(
                        found, {f"{stage} training": f"{stage}.consistency" for stage in STAGES}
                    ),
                    "pairs of shifts with the same class (%)",
                    limits=(max(0.0, 100 * lowest - 10), 100.0),
                ),
                f"Probability that two random circular shifts, of {shifts} x {shifts}, of a test "
                "image are given the same class.",
            ),
            report.summary_table(
                found,
                {
                    "accuracy (%)": ("accuracy", 100),
                    "consistency before (%)": ("before.consistency", 100),
                    "after (%)": ("after.consistency", 100),
                    "class changed by one pixel, after (%)": ("after.flips", 100),
                    "correct at every shift, after (%)": ("after.worst_case", 100),
                },
                caption=f"Accuracy on all centred test images; all else on {images:,} of them at "
                f"{shifts} x {shifts} shifts.",
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

    def pooled(detectors: Any) -> list[float]:
        x = jnp.asarray(detectors)[None, :, None]
        return np.asarray(ops.max_pool(x, 3, padding="SAME"))[0, :, 0].tolist()

    stages = {"before": list(DETECTORS[1:]), "after": list(DETECTORS[:-1])}
    return {name: {"detectors": row, "pooled": pooled(row)} for name, row in stages.items()}


def pooling_table(pooling: dict[str, dict[str, list[float]]]) -> report.Table:
    """Detectors and maxima side by side, and how many of each a shift changes."""
    changed = {
        kind: sum(a != b for a, b in zip(pooling["before"][kind], pooling["after"][kind]))
        for kind in ("detectors", "pooled")
    }
    return report.Table(
        ["image", "detectors", "maxima of three"],
        [
            [name, *("  ".join(f"{value:.1f}" for value in row) for row in pooling[stage].values())]
            for name, stage in (("as it was", "before"), ("shifted by one", "after"))
        ],
        caption=f"The shift changes {changed['detectors']} of {len(DETECTORS) - 1} detectors and "
        f"{changed['pooled']} of {len(DETECTORS) - 1} maxima.",
    )
