"""The page of a trained classifier, made from its results alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import BLUE, DOUBLE_COLUMN, GREY, VERMILLION, png, styled
from cnnjax.report.table import MISSING, Table, format_count, format_number, format_summary
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Results = Mapping[str, Any]


def write_report(results: Results, record: Record, title: str, source: str = "") -> None:
    """Write report.html, report.md and the figures of a training.

    Args:
      results: what results.json holds, plain JSON values, from `study.supervised`.
      record: of the run.
      title: of the page.
      source: literature, if any.
    """
    blocks = _blocks(results)
    if source:
        blocks += [Heading("Source"), Paragraph(source)]
    write_page(title, blocks, record.directory)


def answer(results: Results) -> str:
    """The outcome in one or two sentences."""
    accuracy = format_summary(Summary(**results["accuracy"]), 100, "interval", digits=4)
    first = (
        f"{results['model']} reads {accuracy} % of the {results['test_examples']:,} test images of "
        f"{results['data']} after {results['steps']:,} steps of {results['batch_size']} images"
    )
    if results["top5"] is None:
        return f"{first}."
    five = format_summary(Summary(**results["top5"]), 100, "interval", digits=4)
    return f"{first}; of {five} % the class is among its first five."


def _blocks(results: Results) -> list[Block]:
    seeds = len(results["seeds"])
    size = " x ".join(map(str, results["image_shape"]))
    speed = results["images_per_second"]
    blocks: list[Block] = [
        Paragraph(answer(results), lead=True),
        Paragraph(
            f"{results['train_examples']:,} training images of {size}, {seeds} "
            f"seed{'s' * (seeds > 1)}; intervals are 95 % over seeds (Student t)."
        ),
        Table(
            ["network", "parameters", "multiply-adds", "images/s", "accuracy (%)", "loss"],
            [
                [
                    results["model"],
                    f"{results['params']:,}",
                    format_count(results["multiply_adds"], 3),
                    MISSING if speed is None else f"{speed:,.0f}",
                    format_summary(Summary(**results["accuracy"]), 100, digits=4),
                    format_summary(Summary(**results["loss"])),
                ]
            ],
        ),
        Heading("Training"),
        Figure(
            "curves",
            png(curves(results["curves"])),
            "Loss and accuracy of training batches, and of the test images where it was evaluated; "
            "a line for each seed.",
            "Curves of loss and accuracy against steps.",
        ),
        Heading("Which class is taken for which"),
        Figure(
            "confusion",
            png(confusion(np.asarray(results["confusion"]), results["class_names"])),
            "Test images of each class (rows) by predicted class (columns), percent of the row; "
            "first seed.",
            "A matrix of true against predicted classes.",
        ),
        _per_class(results),
    ]
    if results["mistakes"]:
        blocks += [
            Heading("The surest mistakes"),
            Figure(
                "mistakes",
                png(mistakes(results["mistakes"], results["class_names"])),
                "The wrongly read test images whose wrong class had the highest probability: true "
                "class, predicted class, its probability. First seed.",
                "Images with their true and predicted classes.",
            ),
        ]
    return blocks


def _per_class(results: Results) -> Table:
    counts = np.asarray(results["confusion"])
    shown = range(min(len(counts), 20))
    right = counts.diagonal() / np.maximum(counts.sum(1), 1)
    order = np.argsort(right, kind="stable")
    return Table(
        ["class", "test images", "right (%)", "most often taken for"],
        [
            [
                results["class_names"][row],
                f"{counts[row].sum():,}",
                format_number(100 * right[row]),
                _taken_for(counts[row], row, results["class_names"]),
            ]
            for row in order[list(shown)]
        ],
        caption="Classes by accuracy, the lowest first" + (", 20 of them." * (len(counts) > 20)),
        align=["left", "right", "right", "left"],
    )


def _taken_for(counts: np.ndarray, row: int, names: Sequence[str]) -> str:
    others = np.where(np.arange(len(counts)) == row, 0, counts)
    return MISSING if not others.any() else f"{names[int(others.argmax())]} ({others.max()})"


@styled
def curves(networks: Mapping[str, Any]) -> Canvas:
    """Loss and accuracy against steps."""
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.4))
    panels = canvas.subplots(1, 2)
    looks = {"": (GREY, "training batch", 0.8), "eval_": (BLUE, "test images", 1.6)}
    for axes, quantity, scale in zip(panels, ("loss", "accuracy"), (1, 100), strict=True):
        for prefix, (color, label, width) in looks.items():
            for number, found in enumerate(networks.values()):
                curve = found.get(f"{prefix}{quantity}")
                if not curve:
                    continue
                values = [np.nan if v is None else scale * v for v in curve["values"]]
                marker = "o" if prefix or len(values) == 1 else None
                axes.plot(
                    curve["steps"],
                    values,
                    color=color,
                    linewidth=width,
                    marker=marker,
                    markersize=3,
                    label=label if number == 0 else None,
                )
        axes.set_xlabel("steps")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylabel(quantity if quantity == "loss" else "accuracy (%)")
        axes.grid()
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside upper center", ncols=2)
    return canvas


@styled
def confusion(counts: np.ndarray, names: Sequence[str]) -> Canvas:
    """Shares of each true class by predicted class; numbers in the cells up to 20 classes."""
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    canvas = Canvas(figsize=(5.2, 4.6))
    axes = canvas.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if len(names) <= 20:
        for row, column in np.argwhere(counts > 0):
            axes.text(
                column,
                row,
                f"{shares[row, column]:.0f}",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 60 else "black",
                fontsize=7,
            )
        axes.set_xticks(range(len(names)), labels=names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), labels=names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    canvas.colorbar(picture, ax=axes, label="percent of the true class", shrink=0.8)
    return canvas


@styled
def mistakes(found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Canvas:
    """Images with true class, predicted class and probability, six to a row."""
    columns = 6
    lines = -(-len(found) // columns)
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 1.5 * lines))
    grid = canvas.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, mistake in zip(grid, found, strict=False):
        image = np.asarray(mistake["image"], np.uint8)
        grey = image.shape[-1] == 1
        axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None)
        axes.set_title(
            f"{names[mistake['label']]} → {names[mistake['predicted']]}\n"
            f"{100 * mistake['probability']:.0f} %",
            fontsize=7.5,
            color=VERMILLION,
        )
    return canvas
