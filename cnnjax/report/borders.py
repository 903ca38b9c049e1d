"""The page of the study of borders, made from its results alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.report.figures.dots import dots
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import png
from cnnjax.report.table import Table, counted, format_summary, over_seeds
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Row = Mapping[str, Any]
Results = Mapping[str, Any]

QUESTION = (
    "Can a convolutional network tell where an object is, by the border of the image alone, and "
    "which padding hides it?"
)


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figure of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def answer(rows: Sequence[Row]) -> str:
    """The answer to the question, one sentence with numbers for each kind of border."""
    blind = [row for row in rows if row["equal"]]
    seeing = [row for row in rows if not row["equal"]]
    sentences = [
        f"With {row['border']} borders the network is right on {_percent(row, 'similar')} % of "
        f"the images it was trained for and on {_percent(row, 'dissimilar')} % of those whose "
        f"halves are swapped"
        + (
            ": it reads the place from the border."
            if row["accuracy_similar"]["mean"] > row["accuracy_dissimilar"]["mean"]
            else "."
        )
        for row in seeing
    ]
    if blind:
        listed = ", ".join(f"{row['border']} {_percent(row, 'similar')} %" for row in blind)
        sentences.append(
            f"Equal to the last digit in both places, hence blind to the place: {listed}."
        )
    return " ".join(sentences)


def _percent(row: Row, kind: str) -> str:
    return f"{100 * row[f'accuracy_{kind}']['mean']:.1f}"


def _blocks(results: Results) -> list[Block]:
    rows = results["rows"]
    seeds = len(results["seeds"])
    kinds = ("similar", "dissimilar")
    accuracies = {
        row["border"]: {kind: Summary(**row[f"accuracy_{kind}"]) for kind in kinds} for row in rows
    }
    return [
        Paragraph(answer(rows), lead=True),
        Paragraph(
            f"{results['train_images']:,} training images, {results['steps']:,} steps of "
            f"{results['batch_size']} images, {counted(seeds, 'seed')} of both the images and "
            "the network; "
            f"{results['test_images']:,} test images, shown where the class was in training "
            "(similar) and moved by half the image's height (dissimilar)."
        ),
        Heading("Accuracy by border"),
        Figure(
            "accuracy",
            png(dots(accuracies, "test accuracy (%)", reference=("chance", 50.0))),
            "Accuracy in the same place as in training and in the other half of the image; "
            "95 % intervals over seeds (Student t).",
            "Accuracy of each kind of border on similar and dissimilar test images.",
        ),
        Table(
            ["border", "validation (%)", "similar (%)", "dissimilar (%)", "equal for every seed"],
            [
                [
                    row["border"],
                    *(
                        format_summary(Summary(**row[f"accuracy_{kind}"]), 100, "std")
                        for kind in ("validation", *kinds)
                    ),
                    "yes" if row["equal"] else "no",
                ]
                for row in rows
            ],
            caption=f"{over_seeds(seeds).capitalize()}.",
        ),
        Heading("Source"),
        Paragraph(
            "Kayhan, van Gemert, On translation invariance in CNNs: convolutional layers can "
            "exploit absolute spatial location, CVPR 2020, section 4.1; there valid 100.0 / 0.2, "
            "same 99.8 / 8.4, circular 73.7 / 73.7, full 89.7 / 89.7 (similar / dissimilar, %)."
        ),
    ]
