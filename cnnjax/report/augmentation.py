"""The page of the study of augmentation, made from its results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from cnnjax.report.figures.dots import dots
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import DOUBLE_COLUMN, png, styled
from cnnjax.report.table import MISSING, Table, counted, format_summary, over_seeds
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Results = Mapping[str, Any]

QUESTION = (
    "What does augmentation buy, and what does a network read from the new pixels when their fill "
    "is wrong?"
)


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def answer(results: Results) -> str:
    """The answer to the question, with numbers."""
    told = "; ".join(
        f"{ground}: "
        + ", ".join(
            f"{row['fill']} {_percent(row['accuracy'])} %"
            for row in results["cues"]
            if row["ground"] == ground
        )
        for ground in dict.fromkeys(row["ground"] for row in results["cues"])
    )
    digits = {(row["kind"], row["fill"]): row for row in results["digits"]}
    best = max(results["digits"], key=lambda row: row["accuracy_moved"]["mean"])
    none = digits.get(("none", "grey"))
    gain = (
        f" A network that learned from {results['train_digits']} digits reads "
        f"{_percent(none['accuracy_moved'])} % of moved test digits; the best augmentation, "
        f"{best['kind']} filled with {best['fill']}, makes that "
        f"{_percent(best['accuracy_moved'])} %."
        if none and best is not none
        else ""
    )
    return (
        "Asked by which of eight angles a ground without direction was turned (chance "
        f"{100 * results['chance']:.1f} %), a network is right, by ground and by what fills the "
        f"corners: {told}.{gain}"
    )


def _blocks(results: Results) -> list[Block]:
    seeds = len(results["seeds"])
    grounds = {
        f"{row['ground']}, {row['fill']}": {"right angle": Summary(**row["accuracy"])}
        for row in results["cues"]
    }
    kinds = list(dict.fromkeys(row["kind"] for row in results["digits"]))
    return [
        Paragraph(answer(results), lead=True),
        Paragraph(
            f"{results['steps']:,} steps of {results['batch_size']} images, "
            f"{counted(seeds, 'seed')}; "
            f"{results['cue_images']:,} turned grounds for each fill; {results['train_digits']:,} "
            "digits, white on grey."
        ),
        Heading("The cue"),
        Figure(
            "cue",
            png(dots(grounds, "angles told (%)", reference=("chance", 100 * results["chance"]))),
            "How often a network tells by which of eight angles an image without direction was "
            "turned, by ground and by what fills the corners; 95 % intervals over seeds (Student "
            "t).",
            "Dots of accuracy for each ground and fill.",
        ),
        Heading("What the network sees"),
        Figure(
            "samples",
            png(samples(results["samples"])),
            "One digit, augmented four times by each kind: left with grey around it, as its ground "
            "is, right with zeros.",
            "Rows of augmented digits.",
        ),
        Heading("What it buys"),
        Table(
            ["augmentation", "as they are (%)", "moved (%)", "zeros: as they are (%)", "moved (%)"],
            [[kind, *_row(results["digits"], kind)] for kind in kinds],
            caption=(
                f"Accuracy on test digits as they are and moved a little, "
                f"{over_seeds(seeds)}; with the ground around the training images, and "
                "with zeros."
            ),
        ),
        Heading("Source"),
        Paragraph(
            "Simard, Steinkraus, Platt, Best practices for convolutional neural networks applied "
            "to visual document analysis, 2003 (elastic); DeVries, Taylor, Improved regularization "
            "of convolutional neural networks with cutout, 2017."
        ),
    ]


def _row(rows: list[Mapping[str, Any]], kind: str) -> list[str]:
    found = {row["fill"]: row for row in rows if row["kind"] == kind}
    return [
        _percent(found[fill][measure]) if fill in found else MISSING
        for fill in ("grey", "zeros")
        for measure in ("accuracy", "accuracy_moved")
    ]


@styled
def samples(rows: list[Mapping[str, Any]]) -> Canvas:
    """A row for each kind: its images with the one fill, then with the other."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 0.72 * len(kinds) + 0.1))
    grid = canvas.subplots(len(kinds), 10, squeeze=False)
    for line, kind in zip(grid, kinds, strict=True):
        for axes in line:
            axes.set_axis_off()
        line[0].text(1.0, 0.5, kind, ha="right", va="center", transform=line[0].transAxes)
        for first, fill in ((1, "grey"), (6, "zeros")):
            images = next(r["images"] for r in rows if (r["kind"], r["fill"]) == (kind, fill))
            for axes, image in zip(line[first : first + 4], images, strict=True):
                axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=1)
    return canvas


def _percent(summary: Mapping[str, Any]) -> str:
    return format_summary(Summary(**summary), 100, "std")
