"""The page of the study of downsampling, made from its results alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.report.figures.dots import dots
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import png
from cnnjax.report.table import Table, counted, format_number, format_summary, over_seeds
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Row = Mapping[str, Any]
Results = Mapping[str, Any]

QUESTION = (
    "Which way of halving an image keeps a network's answer when the image moves, before and after "
    "training?"
)


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def answer(rows: Sequence[Row]) -> str:
    """The answer to the question, with numbers."""

    def after(row: Row) -> float:
        return row["consistency_after"]["mean"]

    exact = [row["downsampling"] for row in rows if after(row) == 1]
    others = sorted((row for row in rows if after(row) < 1), key=after, reverse=True)
    listed = ", ".join(f"{row['downsampling']} {100 * after(row):.2f} %" for row in others)
    first = (
        f"Exactly consistent over all pairs of shifts after training: {', '.join(exact)}."
        if exact
        else "None is exactly consistent after training."
    )
    if not others:
        return first
    return f"{first} Two shifts of an image are given the same class by {listed} of all pairs."


def _blocks(results: Results) -> list[Block]:
    rows, seeds = results["rows"], len(results["seeds"])
    consistency = {
        row["downsampling"]: {
            "before training": Summary(**row["consistency_before"]),
            "after training": Summary(**row["consistency_after"]),
        }
        for row in rows
    }
    lowest = min(summary.mean for row in consistency.values() for summary in row.values())
    shifts = results["shifts"]
    return [
        Paragraph(answer(rows), lead=True),
        Paragraph(
            f"{results['data']}, {results['train_examples']:,} centred training images on a "
            f"circular canvas of {results['canvas']} x {results['canvas']} pixels, "
            f"{results['steps']:,} steps of {results['batch_size']} images, "
            f"{counted(seeds, 'seed')}; "
            f"{results['shifted_images']:,} test images at all {shifts} x {shifts} shifts that "
            "the networks can tell apart."
        ),
        Heading("Consistency"),
        Figure(
            "consistency",
            png(
                dots(
                    consistency,
                    "pairs of shifts with the same class (%)",
                    limits=(max(0.0, 100 * lowest - 10), 100.0),
                )
            ),
            "How often two circular shifts of a test image are given the same class, before "
            "and after training; 95 % intervals over seeds (Student t).",
            "Shift consistency of each way of downsampling before and after training.",
        ),
        _table(rows, seeds),
        Heading("What one pixel does to pooling"),
        Paragraph(
            "Figure 9.8 of Goodfellow, Bengio and Courville (2016), computed: the detectors of the "
            "first row, moved by one position, are those of the second; the largest of each three "
            "neighbours is beside them."
        ),
        _book(results["pooling"]),
    ]


def _table(rows: Sequence[Row], seeds: int) -> Table:
    def percent(summary: Mapping[str, Any]) -> str:
        return format_summary(Summary(**summary), 100, "std", digits=4)

    return Table(
        [
            "downsampling",
            "accuracy (%)",
            "consistency before (%)",
            "after (%)",
            "class changed by one pixel, after (%)",
            "right at every shift (%)",
        ],
        [
            [
                row["downsampling"],
                percent(row["accuracy"]),
                percent(row["consistency_before"]),
                percent(row["consistency_after"]),
                percent(row["flips_after"]),
                percent(row["worst_case_after"]),
            ]
            for row in rows
        ],
        caption=f"{over_seeds(seeds).capitalize()}.",
    )


def _book(pooling: Mapping[str, Any]) -> Table:
    before, after = pooling["before"], pooling["after"]
    changed = {
        name: sum(a != b for a, b in zip(before[name], after[name], strict=True))
        for name in ("detectors", "pooled")
    }

    def numbers(values: Sequence[float]) -> str:
        return "  ".join(format_number(value, 2) for value in values)

    return Table(
        ["image", "detectors", "pooled"],
        [
            [name, numbers(stage["detectors"]), numbers(stage["pooled"])]
            for name, stage in (("as it was", before), ("moved by one", after))
        ],
        caption=(
            f"The shift changes {changed['detectors']} of {len(before['detectors'])} detectors and "
            f"{changed['pooled']} of {len(before['pooled'])} pooled values."
        ),
    )
