"""What do lectures on convolutional networks teach, computed and drawn with cnnjax's own operators?

Worked examples, convolution as mathematics, strides and sizes, signals of one to three dimensions,
sound, text, weight sharing, gradients, pooling, receptive fields, fixed filters, efficient
algorithms, classic networks, augmentation, training, learning and spectral bias. Every number and
figure is computed when the page is made.

    python launch.py lectures                            two minutes, 2 CPU cores
    python launch.py lectures smoke                      without the chapters that take longest
    python launch.py lectures --chapters pooling filters

Expected: the worked examples are those of the lectures, exactly; laws hold to float32 rounding.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from cnnjax.run import files, hosts
from cnnjax.run.config import CheckedConfig, Distinct
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    from cnnjax import report
    from experiments import lectures

Chapter = Literal[
    "examples",
    "convolution",
    "sizes",
    "signals",
    "sound",
    "text",
    "sharing",
    "gradients",
    "pooling",
    "receptive_fields",
    "filters",
    "algorithms",
    "networks",
    "augmentation",
    "training",
    "learning",
    "spectral_bias",
]
CHAPTERS: tuple[Chapter, ...] = get_args(Chapter)


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which chapters."""

    chapters: Distinct[Chapter] = CHAPTERS
    """Chapters of the page, in their order."""


PRESETS = {"smoke": Config(chapters=("examples", "convolution", "gradients"))}


def run(config: Config, record: Record) -> None:
    """Compute the chapters; write results and page."""
    computed = {name: getattr(lectures, name).numbers() for name in config.chapters}
    measured: dict[str, Any] = {
        name: getattr(lectures, name).times() for name in config.chapters if name in lectures.TIMED
    }
    results, timings = record.results({"chapters": computed}), record.timings(measured)
    blocks: list[report.Block | str] = [
        f"{len(computed)} chapters of the lectures that cnnjax began with; everything shown was "
        "computed when the page was made."
    ]
    for name, numbers in results["chapters"].items():
        chapter = getattr(lectures, name)
        blocks += [
            report.Heading(chapter.TITLE),
            *chapter.blocks({**numbers, **timings.get(name, {})}),
        ]
        for file, content in getattr(chapter, "files", lambda numbers: {})(numbers).items():
            if hosts.is_first():
                files.write(record.directory / file, content)
    report.write_page(record, __doc__, blocks)
