"""The page of the study of learned invariance, made from its results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnjax.report.detectors import accuracy_against_angle, learned_filters, which_fires
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

Row = Mapping[str, Any]
Results = Mapping[str, Any]

QUESTION = "Do filters that are learned apart and pooled together learn to ignore rotation?"


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def name_of(row: Row) -> str:
    """What a network pools over, in words."""
    k = row["detectors"]
    return {
        "detectors": f"{k} learned filter{'s' * (k > 1)}",
        "turns": f"{k} filter{'s' * (k > 1)} in 4 turned copies",
        "space": "convolutions, maximum over space",
        "none": "convolutions, no pooling",
    }[row["pooling"]]


def answer(results: Results) -> str:
    """The answer to the question, with numbers."""
    rows = results["rows"]
    learned = [
        row for row in rows if row["pooling"] == "detectors" and row["train_data"] == "turned"
    ]
    fewest = min(learned, key=lambda row: row["detectors"])
    most = max(learned, key=lambda row: row["detectors"])
    sentences = [
        f"Trained on turned digits, {name_of(most)} a class read "
        f"{_percent(most['accuracy_turned'])} % of digits turned by any angle, {name_of(fewest)} "
        f"{_percent(fewest['accuracy_turned'])} %."
    ]
    if most["detectors"] > 1:
        upright = next(
            row
            for row in rows
            if row["pooling"] == "detectors"
            and row["train_data"] == "upright"
            and row["detectors"] == most["detectors"]
        )
        sentences.append(
            f"As a digit turns, {format_number(most['winners']['mean'], 2)} of "
            f"{most['detectors']} detectors take turns at answering most; the angles at which one "
            "does lie about one axis with a vector strength of "
            f"{format_number(most['axis']['mean'], 2)} (0: all around the circle, 1: at one pair "
            f"of opposite angles). Trained on upright "
            f"digits the same network reads {_percent(upright['accuracy_turned'])} %."
        )
    built = [row for row in rows if row["pooling"] == "turns" and row["train_data"] == "turned"]
    if built:
        best = max(built, key=lambda row: row["detectors"])
        sentences.append(
            f"Quarter turns built in, {name_of(best)} with {format_count(best['params'])} weights "
            f"read {_percent(best['accuracy_turned'])} %."
        )
    return " ".join(sentences)


def _blocks(results: Results) -> list[Block]:
    rows, shown, label = results["rows"], results["shown"], results["shown_class"]
    seeds = len(results["seeds"])
    angles = np.asarray(results["angles"])
    ordered = sorted(shown, key=lambda each: (each["pooling"], each["train_data"] == "upright"))
    polar = {f"{_trained(each)}\n{name_of(each)}": np.asarray(each["shares"]) for each in ordered}
    filters = {
        f"{_trained(each)}\n{name_of(each)}": np.asarray(each["filters"])
        for each in shown
        if each["train_data"] == "turned"
    }
    curves = {
        data: {
            name_of(row): np.asarray(row["accuracy_by_angle"])
            for row in rows
            if row["train_data"] == data
        }
        for data in ("upright", "turned")
    }
    return [
        Paragraph(answer(results), lead=True),
        Paragraph(
            f"{results['data']}, {results['train_examples']:,} training images on a canvas of "
            f"{results['canvas']} x {results['canvas']} pixels, {results['steps']:,} steps of "
            f"{results['batch_size']} images, {counted(seeds, 'seed')}; "
            f"{results['turned_images']:,} test "
            f"images, each at {len(angles)} angles. Every class is scored by its strongest "
            "detector."
        ),
        Heading(f"Which detector fires as a {label} turns"),
        Figure(
            "which_fires",
            png(which_fires(polar, angles)),
            f"Share of the test images of class {label} for which each detector of that class is "
            "the strongest, as they turn counter-clockwise through 360 degrees; first seed. One "
            "colour a detector; a single detector is the flat control.",
            f"Polar plots of which detector of class {label} wins at each angle.",
        ),
        Heading("What the detectors learned"),
        Figure(
            "filters",
            png(learned_filters(filters)),
            f"The filters of class {label} after training on turned digits, framed in the colours "
            "above; blue weighs against the class, red for it. First seed.",
            f"Images of the learned filters of class {label}.",
        ),
        Heading("Accuracy against angle"),
        Figure(
            "accuracy_against_angle",
            png(accuracy_against_angle(curves, angles, 1 / results["classes"])),
            "Accuracy on test images turned by each angle, mean over seeds; dashed: chance.",
            "Curves of accuracy against angle for each network.",
        ),
        Heading("Numbers"),
        _table(rows, seeds),
        Paragraph(
            "Firing: how much more often a unit fires at turned copies of images that make it fire "
            f"than at any image (Goodfellow et al., 2009); firing are its highest "
            f"{100 * results['firing_rate']:.0f} % of responses, or its lowest, so that "
            f"{1 / results['firing_rate']:.0f} is perfect invariance and 1 none; the best fifth of "
            "the units. Take turns: the exponential of the entropy of the wins of a class' "
            "own detectors. One direction: the mean resultant length of the angles at which a "
            "detector wins, weighted by wins; one axis: that of the doubled angles, so that "
            "opposite angles count as one."
        ),
        Heading("Source"),
        Paragraph(
            "Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.9; Goodfellow, "
            "Warde-Farley, Mirza, Courville, Bengio, Maxout networks, 2013; Goodfellow, Le, Saxe, "
            "Lee, Ng, Measuring invariances in deep networks, 2009; Cohen, Welling, Group "
            "equivariant convolutional networks, 2016."
        ),
    ]


def _table(rows: list[Row], seeds: int) -> Table:
    def cell(row: Row, name: str, scale: float = 1.0) -> str:
        if name not in row:
            return format_number(None)
        return format_summary(Summary(**row[name]), scale, "std")

    return Table(
        [
            "pooled over",
            "trained on",
            "weights",
            "upright (%)",
            "any angle (%)",
            "firing, logits",
            "firing, detectors",
            "take turns",
            "one direction",
            "one axis",
        ],
        [
            [
                name_of(row),
                row["train_data"],
                format_count(row["params"]),
                cell(row, "accuracy_upright", 100),
                cell(row, "accuracy_turned", 100),
                cell(row, "logits_firing"),
                cell(row, "detectors_firing"),
                cell(row, "winners"),
                cell(row, "direction"),
                cell(row, "axis"),
            ]
            for row in rows
        ],
        caption=f"{over_seeds(seeds).capitalize()}.",
    )


def _trained(row: Row) -> str:
    return f"trained {row['train_data']}"


def _percent(summary: Mapping[str, Any]) -> str:
    return format_summary(Summary(**summary), 100, "std")
