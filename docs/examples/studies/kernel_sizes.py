"""Does a larger kernel help on handwritten digits?

A network of three convolutions and a classifier is trained with each kernel size.

    python launch.py kernel_sizes          digits, 2 seeds: a minute, 2 CPU cores
    python launch.py kernel_sizes smoke    seconds
"""

import dataclasses

from cnnjax.run.config import Distinct, Positive, Seed, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():  # loaded on first use, so that --help is instant
    from cnnjax import layers, models, report, tasks


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):  # has data, data_dir and seeds
    """What to compare, and how to train."""

    kernel_sizes: Distinct[Positive] = (1, 3, 5)
    """Heights and widths of the kernels."""
    seeds: Distinct[Seed] = (0, 1)
    """Seeds; for each a network is trained with every kernel size."""
    train: TrainConfig = TrainConfig(steps=150, batch_size=64, learning_rate=3e-3)
    """How to train, the same for all."""


PRESETS = {"smoke": Config(train=TrainConfig(steps=5, batch_size=32, learning_rate=3e-3))}


def sweep():
    """Configurations for --sweep."""
    for learning_rate in (1e-3, 3e-3):
        yield {"train.learning_rate": learning_rate}


def run(config: Config, record: Record) -> None:
    """Train and test a network for each kernel size and seed."""
    task = tasks.on_canvas(config.data, config.data_dir)
    for cell in record.each(kernel_size=config.kernel_sizes, seed=config.seeds):
        model = models.ConvNet(task.classes, layers.Conv, kernel_size=cell["kernel_size"])
        network = task.network(model, config.train)
        state = network.train(record, cell)
        record.observe(cell, accuracy=network.accuracy(state), parameters=network.parameters)
    page(record.observations(), record)


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    record.results({"rows": found.results()})
    accuracies = report.summaries(found, {"test accuracy": "accuracy"})
    means = [f"{size}: {100 * row['test accuracy'].mean:.1f} %" for size, row in accuracies.items()]
    blocks = [
        f"Test accuracy by kernel size: {', '.join(means)}.",
        report.setting(record, found),
        report.Figure("accuracy", report.dots(accuracies, "accuracy (%)"), "By kernel size."),
        report.summary_table(found, {"accuracy (%)": ("accuracy", 100), "weights": "parameters"}),
    ]
    report.write_page(record, __doc__, blocks)
