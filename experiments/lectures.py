"""What do the lectures on convolutional networks say, computed and drawn with cnnjax' own operators?

One page that walks through worked examples, convolution as mathematics, signals of one to three
dimensions, sharing of weights, gradients, pooling, receptive fields, fixed filters, efficient
algorithms, classic networks, augmentation and learning. Nothing on it is typed in: every number and
figure is computed when it is made.

    python launch.py lectures                            about a minute, 2 CPU cores
    python launch.py lectures smoke                      without the chapters that take longest
    python launch.py lectures --chapters pooling filters

Expected: the worked examples of the notes come out exactly; laws hold to float32 rounding.
"""

import dataclasses
from typing import Any, Literal, get_args

from cnnjax.run.config import require_distinct

OVERWRITE = True

Chapter = Literal[
    "examples",
    "convolution",
    "signals",
    "sharing",
    "gradients",
    "pooling",
    "receptive_fields",
    "filters",
    "algorithms",
    "networks",
    "augmentation",
    "learning",
]


@dataclasses.dataclass(frozen=True)
class Config:
    """Which chapters."""

    chapters: tuple[Chapter, ...] = get_args(Chapter)
    """Chapters of the page, in their order."""

    def __post_init__(self):
        for chapter in self.chapters:
            if chapter not in get_args(Chapter):
                raise ValueError(f"chapters are {', '.join(get_args(Chapter))}, got {chapter!r}.")
        require_distinct(self, "chapters")


PRESETS = {"smoke": Config(chapters=("examples", "convolution", "gradients"))}


def run(config: Config, record: Any) -> None:
    """Compute the chapters, and write results and page."""
    from cnnjax import lectures
    from cnnjax.report.page import Block, Heading, Paragraph, write_page

    computed = {name: getattr(lectures, name).numbers() for name in config.chapters}
    results = record.results({"chapters": computed})
    blocks: list[Block] = [
        Paragraph(
            "The lectures that cnnjax descends from, walked through with its own operators: "
            "whatever stands here was computed when the page was made.",
            lead=True,
        )
    ]
    for name, numbers in results["chapters"].items():
        chapter = getattr(lectures, name)
        blocks += [Heading(chapter.TITLE), *chapter.blocks(numbers)]
    write_page("Convolutional networks, computed", blocks, record.directory)
