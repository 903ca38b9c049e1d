"""The page of the equivariance study, made from its results alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.report import comparisons, figures
from cnnjax.report.page import Block, Code, Figure, Heading, Paragraph, write_page
from cnnjax.report.table import Table, format_count, format_number, format_summary
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Row = Mapping[str, Any]
Results = Mapping[str, Any]

QUESTION = (
    "Which translations does each convolution commute with, what does training on translated data "
    "teach those that do not, and what does it cost?"
)
_STAGES = ("before training", "after training, centred", "after training, translated")


def write_report(results: Results, timings: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the study.

    Args:
      results: what results.json holds, plain JSON values.
      timings: what timings.json holds; its rows go with those of the results.
      record: of the run.
    """
    pairs = zip(results["rows"], timings["rows"], strict=True)
    results = {**results, "rows": [{**row, **timing} for row, timing in pairs]}
    write_page(QUESTION, _blocks(results), record.directory)


def answers(results: Results) -> tuple[str, str, str]:
    """The answer to each part of the question: one sentence with numbers."""
    rows = results["rows"]
    layers = [layer for row in rows for layer in row["layers"]]
    claimed = [layer for layer in layers if layer["predicted_lattice"] is not None]
    agree = sum(layer["predicted_lattice"] == layer["measured_lattice"] for layer in claimed)
    on = max(layer["error_on_lattice"] for layer in layers)
    first = [(row["label"], row["layers"][0]) for row in _of(rows, "centred")]
    off = [
        f"{label} {layer['error_off_lattice']:.2f}"
        for label, layer in first
        if layer["error_off_lattice"] is not None
    ]
    shifts = results["canvas"] ** 2
    symmetry = (
        f"Over all {shifts} circular shifts, the translations that leave no error are exactly the "
        f"predicted ones in {agree} of {len(claimed)} layers and networks; the largest error on a "
        f"predicted lattice is {format_number(on, 2)}"
        + (f", and off it the untrained first layers are at {', '.join(off)}." if off else ".")
        + _false_claims(rows)
    )
    taught = []
    for centred, translated in _pairs(rows):
        before, after = (row["layers"][-1]["error_after_training"] for row in (centred, translated))
        low, high = (100 * row["accuracy_translated"]["mean"] for row in (centred, translated))
        taught.append((high - low, centred["label"], before, after, low, high))
    _, label, before, after, low, high = max(taught)
    above_others = " most" if len(taught) > 1 else ""
    learned = (
        f"Translated instead of centred training images teach {label}{above_others}: its "
        "accuracy on "
        f"translated test images goes from {low:.1f} % to {high:.1f} % (chance "
        f"{100 / results['classes']:.0f} %), and the mean error of its logits goes from "
        f"{before:.2f} to {after:.2f}; " + _never_exact(rows)
    )
    reference = rows[0]
    most = max(rows, key=lambda row: row["params"])
    price = (
        f"{most['label']} has {most['params']:,} weights and takes {most['multiply_adds']:,} "
        f"multiply-adds for an image."
        if most["label"] == reference["label"]
        else f"{most['label']} has {most['params'] / reference['params']:,.0f} times the "
        "weights and "
        f"{most['multiply_adds'] / reference['multiply_adds']:.1f} times the multiply-adds of "
        f"{reference['label']}" + _speeds(rows) + "."
    )
    return symmetry, learned, price


def _false_claims(rows: Sequence[Row]) -> str:
    """Which convolutions commute with less, or more, than they claim."""
    wrong = {
        row["label"]: layer
        for row in rows
        for layer in row["layers"][:1]
        if layer["predicted_lattice"] not in (None, layer["measured_lattice"])
    }
    return "".join(
        f" {label} claims shifts by {_steps(layer['predicted_lattice'])}, and has those by "
        f"{_steps(layer['measured_lattice'])}."
        for label, layer in wrong.items()
    )


def _never_exact(rows: Sequence[Row]) -> str:
    inexact = [
        row
        for row in _of(rows, "translated")
        if row["layers"][-1]["error_off_lattice_after_training"] is not None
    ]
    if not inexact:
        return "every network here is exactly invariant."
    best = max(inexact, key=lambda row: row["accuracy_translated"]["mean"])
    # A network can stop answering to its input at all; that is no symmetry to praise.
    constant = [
        row["label"]
        for row in inexact
        if row["layers"][-1]["error_off_lattice_after_training"] <= 1e-5
    ]
    except_for = (
        f" (but for {', '.join(constant)}, whose logits have become constant)" if constant else ""
    )
    return (
        f"no training makes an inexact shift exact{except_for}: {best['label']}, the most accurate "
        f"on them ({100 * best['accuracy_translated']['mean']:.1f} %), keeps a mean error of "
        f"{best['layers'][-1]['error_off_lattice_after_training']:.2f} off its lattice."
    )


def _speeds(rows: Sequence[Row]) -> str:
    speeds = [
        (row["images_per_second"]["mean"], row["label"]) for row in rows if row["images_per_second"]
    ]
    if len({label for _, label in speeds}) < 2:
        return ""
    (slow, slowest), (fast, fastest) = min(speeds), max(speeds)
    return (
        f"; training runs at {format_count(slow)} images/s for {slowest} and at "
        f"{format_count(fast)} for {fastest}"
    )


def _blocks(results: Results) -> list[Block]:
    rows = results["rows"]
    last = rows[0]["layers"][-2]["name"]
    seeds = len(results["seeds"])
    trained = (
        f"{results['data']}, {results['train_examples']:,} training images on a canvas of "
        f"{results['canvas']} x {results['canvas']} pixels, {results['steps']:,} steps of "
        f"{results['batch_size']} images, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    )
    return [
        *(Paragraph(answer, lead=True) for answer in answers(results)),
        Paragraph(
            f"Same depth, features and budget for all: {trained}. The error at shift m is "
            "||f(S m x) - S m f(x)|| / ||f(x)|| over test images; for the logits, which have no "
            "place, S m f(x) is f(x) itself. Zero is exact, √2 is unrelated."
        ),
        Heading("What each layer commutes with"),
        _figure(
            "error_against_shift",
            figures.error_against_shift(shift_panels(rows, 0), exact=1e-5, independent=2**0.5),
            "Equivariance error of the first layer against horizontal shift. Triangles: the "
            "predicted lattice; dots on the zero line: shifts without error. Mean over seeds, band "
            "from smallest to largest.",
        ),
        _lattice_table(rows),
        _figure(
            "shift_maps",
            figures.shift_maps(_maps(rows, -2), exact=1e-5, independent=2**0.5),
            f"Error of everything up to {last} over all two-dimensional shifts: the strides below "
            "and the tiles multiply. Mean over seeds.",
        ),
        Heading("What training teaches"),
        _figure(
            "logits_against_shift",
            figures.error_against_shift(shift_panels(rows, -1), exact=1e-5, independent=2**0.5),
            "Error of the logits, which is a lack of invariance, against horizontal shift.",
        ),
        _figure(
            "accuracy",
            comparisons.accuracy(_accuracies(rows), chance=1 / results["classes"]),
            f"Accuracy on the {results['test_examples']:,} test images, centred and at "
            f"{results['translations']} random places each; 95 % intervals over seeds (Student t).",
        ),
        _accuracy_table(rows),
        Heading("What it costs"),
        _figure(
            "price",
            comparisons.price([_price(row) for row in _of(rows, "centred")]),
            "Weights, multiply-adds of one image, and training images/s on this machine (see "
            "environment.json), without compilation.",
        ),
        Heading("Again"),
        Paragraph("The configuration stands in config.json beside this page; the same run is"),
        Code("python launch.py equivariance --config config.json"),
    ]


def shift_panels(rows: Sequence[Row], layer: int) -> list[figures.ShiftPanel]:
    """For each convolution, the errors of one layer over horizontal shifts, in three stages."""
    panels = []
    for centred, translated in _pairs(rows):
        one, other = centred["layers"][layer], translated["layers"][layer]
        errors = (
            one["horizontal_before_training"],
            one["horizontal_after_training"],
            other["horizontal_after_training"],
        )
        curves = {stage: np.asarray(error) for stage, error in zip(_STAGES, errors, strict=True)}
        lattice = one["predicted_lattice"] or one["measured_lattice"]
        panels.append(figures.ShiftPanel(centred["label"], curves, lattice[1]))
    return panels


def _maps(rows: Sequence[Row], layer: int) -> dict[str, dict[str, np.ndarray]]:
    maps = {}
    for centred, translated in _pairs(rows):
        one, other = centred["layers"][layer], translated["layers"][layer]
        errors = (
            one["map_before_training"],
            one["map_after_training"],
            other["map_after_training"],
        )
        maps[centred["label"]] = dict(zip(_STAGES, map(np.asarray, errors), strict=True))
    return maps


def _accuracies(rows: Sequence[Row]) -> list[comparisons.Accuracy]:
    return [
        comparisons.Accuracy(
            row["label"],
            f"{row['train_data']} images",
            {
                "centred images": Summary(**row["accuracy_centred"]),
                "translated images": Summary(**row["accuracy_translated"]),
            },
        )
        for row in rows
    ]


def _price(row: Row) -> comparisons.Price:
    speed = row["images_per_second"] and row["images_per_second"]["mean"]
    return comparisons.Price(row["label"], row["params"], row["multiply_adds"], speed)


def _lattice_table(rows: Sequence[Row]) -> Table:
    cells = []
    for row in _of(rows, "translated"):
        for layer in row["layers"]:
            alone = layer["alone"]
            cells.append(
                [
                    row["label"] if layer is row["layers"][0] else "",
                    layer["name"],
                    _steps(alone and alone["predicted_lattice"]),
                    _steps(alone and alone["measured_lattice"]),
                    _steps(layer["predicted_lattice"]),
                    _steps(layer["measured_lattice"]),
                    format_number(layer["error_on_lattice"], 2),
                    format_number(layer["error_off_lattice"], 2),
                    format_number(layer["error_off_lattice_after_training"], 2),
                ]
            )
    return Table(
        [
            "convolution",
            "layer",
            "alone: predicted",
            "measured",
            "from the image: predicted",
            "measured",
            "largest error on it",
            "mean off it, before",
            "after, translated",
        ],
        cells,
        caption=(
            "Lattices of exact translations as smallest steps, vertical x horizontal: of each "
            "layer alone, in positions of its own input, and of the network up to it, in pixels. "
            "Where the step is the whole axis, only the zero shift is exact."
        ),
    )


def _accuracy_table(rows: Sequence[Row]) -> Table:
    return Table(
        [
            "convolution",
            "trained on",
            "accuracy, centred (%)",
            "accuracy, translated (%)",
            "logits' mean error before",
            "after",
            "weights",
            "multiply-adds",
            "images/s",
        ],
        [
            [
                row["label"],
                row["train_data"],
                format_summary(Summary(**row["accuracy_centred"]), 100, "std"),
                format_summary(Summary(**row["accuracy_translated"]), 100, "std"),
                format_number(row["layers"][-1]["error_before_training"], 2),
                format_number(row["layers"][-1]["error_after_training"], 2),
                format_count(row["params"]),
                format_count(row["multiply_adds"]),
                format_count(row["images_per_second"] and row["images_per_second"]["mean"]),
            ]
            for row in rows
        ],
        caption="Accuracies as mean ± standard deviation over seeds; the mean error is over all "
        "shifts but the zero shift.",
    )


def _figure(name: str, figure: Any, caption: str) -> Figure:
    return Figure(name, figures.png(figure), caption, alt=caption)


def _steps(lattice: Sequence[int] | None) -> str:
    return "–" if lattice is None else " x ".join(map(str, lattice))


def _of(rows: Sequence[Row], train_data: str) -> list[Row]:
    return [row for row in rows if row["train_data"] == train_data]


def _pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Of each convolution, the row trained on centred and the one trained on translated images."""
    return list(zip(_of(rows, "centred"), _of(rows, "translated"), strict=True))
