"""The page of the study of rotated MNIST, made from its results alone."""

from collections.abc import Mapping
from typing import Any

from cnnjax.report.figures.dots import dots
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import png
from cnnjax.report.table import (
    Table,
    counted,
    format_count,
    format_number,
    format_summary,
    over_seeds,
)
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Results = Mapping[str, Any]

QUESTION = "What does building quarter turns into the layers save, on digits turned by any angle?"


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figure of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def answer(results: Results) -> str:
    """The answer to the question, with numbers."""
    errors = ", ".join(
        f"{row['network']} {100 * row['error']['mean']:.2f} %" for row in results["rows"]
    )
    turned = ", ".join(
        f"{row['network']} {format_number(row['quarter_turn_difference'], 2)}"
        for row in results["rows"]
    )
    ratio = results["ratio"]
    times = "" if ratio is None else f"; Z2CNN makes {ratio:.2f} times the errors of P4CNN"
    return (
        f"Test errors: {errors}{times}. A quarter turn of the image changes the logits by at most: "
        f"{turned}."
    )


def _blocks(results: Results) -> list[Block]:
    rows, seeds = results["rows"], len(results["seeds"])
    errors = {row["network"]: {"test error": Summary(**row["error"])} for row in rows}
    return [
        Paragraph(answer(results), lead=True),
        Paragraph(
            f"{results['data']}, {results['train_examples']:,} training images, "
            f"{results['steps']:,} steps of {results['batch_size']} images, "
            f"{counted(seeds, 'seed')}, "
            f"{results['test_examples']:,} test images."
        ),
        Heading("Test error"),
        Figure(
            "error",
            png(dots(errors, "test error (%)", limits=None)),
            "Test error of networks of nearly equal size; 95 % intervals over seeds (Student t).",
            "Test error of each network.",
        ),
        Table(
            ["network", "weights", "test error (%)", "largest change of a logit by a quarter turn"],
            [
                [
                    row["network"],
                    format_count(row["params"]),
                    format_summary(Summary(**row["error"]), 100, "std"),
                    format_number(row["quarter_turn_difference"], 2),
                ]
                for row in rows
            ],
            caption=f"{over_seeds(seeds).capitalize()}.",
        ),
        Heading("Source"),
        Paragraph(
            "Cohen, Welling, Group equivariant convolutional networks, ICML 2016, section 8.1: "
            "Z2CNN 5.03 %, P4CNN with rotation pooling 3.21 %, P4CNN 2.28 %."
        ),
    ]
