"""The page of the study of Lie derivatives, made from its results alone."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import BLUE, DOUBLE_COLUMN, GREEN, GREY, VERMILLION, png, styled
from cnnjax.report.table import Table, counted, format_number, format_summary, over_seeds
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Row = Mapping[str, Any]
Results = Mapping[str, Any]

QUESTION = (
    "Which layers of a network lose its symmetry under small translations, rotations, scalings "
    "and shears, before and after training?"
)

_KINDS = {
    "convolution": BLUE,
    "nonlinearity": VERMILLION,
    "downsampling": GREEN,
    "readout": GREY,
}
_UNITS = {
    "down": "translation down, by a hundredth of the image",
    "right": "translation right, by a hundredth of the image",
    "rotation": "rotation by a degree",
    "scaling": "growth by a hundredth",
    "shearing": "shear by a hundredth",
}


def scale_of(action: str) -> float:
    """What one unit of `_UNITS` is in the units of the action, as percent of the logits' size."""
    return 100 * (math.pi / 180 if action == "rotation" else 0.01)


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def shares(row: Row, stage: str, action: str) -> dict[str, float]:
    """The share of each kind of layer in the sum of the squared terms."""
    squares = dict.fromkeys(_KINDS, 0.0)
    for layer, term in zip(row["layers"], row[stage][action]["terms"], strict=True):
        squares[layer["kind"]] += term["mean"] ** 2
    total = sum(squares.values()) or 1.0
    return {kind: square / total for kind, square in squares.items()}


def answer(results: Results) -> str:
    """The answer to the question, with numbers."""
    rows = {row["network"]: row for row in results["rows"]}
    action = _main_action(results)
    sentences = []
    # Where the convolution has the stride, the two cannot be told apart.
    others = ("alias_free", "strided", "tiled", "local")
    plain = [row for name, row in rows.items() if name not in others]
    if plain:
        of_each = [shares(row, "after", action) for row in plain]
        aliasing = [each["nonlinearity"] + each["downsampling"] for each in of_each]
        sentences.append(
            f"In trained networks of shared kernels, under {_UNITS[action]}, nonlinearities and "
            f"downsampling hold {_range(aliasing)} of the squared terms, convolutions "
            f"{_range([each['convolution'] for each in of_each])}."
        )
    unshared = [rows[name] for name in ("tiled", "local") if name in rows]
    if unshared:
        told = ", ".join(
            f"{row['network']} {100 * shares(row, 'after', action)['convolution']:.0f} %"
            for row in unshared
        )
        sentences.append(f"Where kernels are not shared, the convolutions' part is: {told}.")

    def change(row: Row) -> float:
        return row["after"][action]["whole"]["mean"]

    most, least = max(rows.values(), key=change), min(rows.values(), key=change)
    other = f", those of {least['network']} by {_percent(least, 'after', action)} %"
    sentences.append(
        f"It changes the logits of {most['network']} by {_percent(most, 'after', action)} % of "
        f"their size{other if len(rows) > 1 else ''}."
    )
    return " ".join(sentences)


def _main_action(results: Results) -> str:
    return "right" if "right" in results["actions"] else results["actions"][0]


def _blocks(results: Results) -> list[Block]:
    rows, seeds = results["rows"], len(results["seeds"])
    remainder = max(
        row[stage][action]["remainder"]
        for row in rows
        for stage in ("before", "after")
        for action in results["actions"]
    )
    return [
        Paragraph(answer(results), lead=True),
        Paragraph(
            f"{results['data']}, {results['train_examples']:,} centred training images on a "
            f"circular canvas of {results['canvas']} x {results['canvas']} pixels, "
            f"{results['steps']:,} steps of {results['batch_size']} images, "
            f"{counted(seeds, 'seed')}; "
            f"derivatives on {results['measured_images']:,} test images. Translations are "
            "band-limited and circular, the others bicubic with zeros around the image."
        ),
        Heading("Where symmetry is lost"),
        *(
            Figure(
                f"layers_{action}",
                png(kinds_figure(results, action)),
                f"{_UNITS[action].capitalize()}: change of the logits, percent of their size, "
                "split by the layers' shares in the squared terms; upper bar of each pair before "
                "training, lower after. Means over seeds.",
                f"Stacked bars of the Lie derivative of each network under {action}.",
            )
            for action in results["actions"]
        ),
        Heading("Change of the logits"),
        *(_table(results, stage, seeds) for stage in ("before", "after")),
        Heading("Layer by layer"),
        *(_layers(row, _main_action(results)) for row in rows),
        Paragraph(
            "The terms of all layers sum to the whole; largest relative remainder, in float32: "
            f"{format_number(remainder, 2)}."
        ),
        Heading("Source"),
        Paragraph(
            "Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned "
            "equivariance, 2022; alias-free layers after Michaeli, Michaeli, Soudry, Alias-free "
            "convnets, 2023."
        ),
    ]


@styled
def kinds_figure(results: Results, action: str) -> Canvas:
    """Two stacked bars a network: its Lie derivative before and after training, by kind."""
    rows = results["rows"]
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 0.34 * len(rows) + 0.9))
    axes = canvas.subplots()
    for line, row in enumerate(rows):
        for offset, stage in ((-0.19, "before"), (0.19, "after")):
            left = 0.0
            length = scale_of(action) * row[stage][action]["whole"]["mean"]
            for kind, share in shares(row, stage, action).items():
                alpha = 1.0 if stage == "after" else 0.45
                axes.barh(
                    line + offset,
                    share * length,
                    0.34,
                    left,
                    color=_KINDS[kind],
                    alpha=alpha,
                    linewidth=0,
                )
                left += share * length
    axes.set_yticks(range(len(rows)), labels=[row["network"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.04 * axes.get_xlim()[1])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(f"change of the logits (%) by {_UNITS[action]}")
    handles = [Patch(color=color, label=kind) for kind, color in _KINDS.items()]
    canvas.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return canvas


def _table(results: Results, stage: str, seeds: int) -> Table:
    actions = results["actions"]
    accuracy = ["accuracy (%)"] if stage == "after" else []
    units = "; ".join(_UNITS[action] for action in actions)
    return Table(
        ["network", *accuracy, *actions],
        [
            [
                row["network"],
                *[format_summary(Summary(**row["accuracy"]), 100, "std")] * len(accuracy),
                *(_percent(row, stage, action) for action in actions),
            ]
            for row in results["rows"]
        ],
        caption=f"{stage.capitalize()} training: percent of the logits' size, for: {units}. "
        f"{over_seeds(seeds).capitalize()}.",
    )


def _layers(row: Row, action: str) -> Table:
    def cell(stage: str, number: int) -> str:
        term = row[stage][action]["terms"][number]
        return format_summary(Summary(**term), scale_of(action), "std")

    return Table(
        ["layer", "kind", "before training", "after"],
        [
            [layer["name"], layer["kind"], cell("before", number), cell("after", number)]
            for number, layer in enumerate(row["layers"])
        ],
        caption=f"{row['network']}: size of each layer's term, percent, {_UNITS[action]}.",
    )


def _percent(row: Row, stage: str, action: str) -> str:
    return format_summary(Summary(**row[stage][action]["whole"]), scale_of(action), "std")


def _range(values: list[float]) -> str:
    low, high = 100 * min(values), 100 * max(values)
    return f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
