"""The page of the study of segmentation, made from its results alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import BLACK, BLUE, DOUBLE_COLUMN, GREEN, ORANGE, VERMILLION, png, styled
from cnnjax.report.table import Table, counted, format_count, format_summary, over_seeds
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary

Results = Mapping[str, Any]

QUESTION = "Does a network that sees its own labels label pixels better with every iteration?"

_COLORS = (
    BLACK, BLUE, VERMILLION, GREEN, ORANGE, "#56b4e9", "#cc79a7", "#f0e442", "#8c8c8c", "#ffffff",
    "#7a5230",
)  # fmt: skip


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the study.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def answer(results: Results) -> str:
    """The answer to the question, with numbers."""
    longest = max(results["rows"], key=lambda row: row["iterations"])
    told = ", ".join(_percent(after["digits_iou"]) for after in longest["after"])
    once = [row for row in results["rows"] if row["iterations"] == 1]
    control = (
        f" The control that estimates once reaches {_percent(once[0]['after'][0]['digits_iou'])} %."
        if once and longest["iterations"] > 1
        else ""
    )
    return (
        "Intersection over union of the digits, mean over the digits' classes, after each of "
        f"{longest['iterations']} iterations: {told} %.{control}"
    )


def _blocks(results: Results) -> list[Block]:
    seeds = len(results["seeds"])
    return [
        Paragraph(answer(results), lead=True),
        Paragraph(
            f"{results['data']}: {results['train_examples']:,} training images of 32 x 32, "
            f"{results['test_examples']:,} test images of other digits, {results['steps']:,} steps "
            f"of {results['batch_size']} images, {counted(seeds, 'seed')}. Every pixel is "
            "ground or ink of "
            "one of the digits."
        ),
        Heading("Estimates"),
        Figure(
            "estimates",
            png(estimates_figure(results)),
            "Test images, their labels, and the estimate after each iteration of the network with "
            "the most iterations; first seed.",
            "Rows of images, labels and estimates.",
        ),
        Heading("Overlap by iteration"),
        Table(
            [
                "network",
                "weights",
                "after",
                "pixels right (%)",
                "IoU, ground (%)",
                "IoU, digits (%)",
                "IoU, all classes (%)",
            ],
            [
                [
                    f"{row['iterations']} iteration{'s' * (row['iterations'] > 1)}",
                    format_count(row["params"]),
                    str(number),
                    *(
                        _percent(after[name])
                        for name in ("accuracy", "ground_iou", "digits_iou", "mean_iou")
                    ),
                ]
                for row in results["rows"]
                for number, after in enumerate(row["after"], start=1)
            ],
            caption=f"{over_seeds(seeds).capitalize()}. IoU: pixels both predicted and "
            "true over pixels either, all test images together.",
        ),
        Heading("Source"),
        Paragraph(
            "Pinheiro, Collobert, Recurrent convolutional neural networks for scene labeling, "
            "2014; Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.17."
        ),
    ]


@styled
def estimates_figure(results: Results) -> Canvas:
    """A row for each image: itself, its labels, its estimates."""
    shown, names = results["shown"], results["class_names"]
    columns = 2 + len(shown["estimates"])
    rows = len(shown["images"])
    canvas = Canvas(figsize=(DOUBLE_COLUMN, DOUBLE_COLUMN / max(columns, 5) * rows + 0.6))
    grid = canvas.subplots(rows, max(columns, 5), squeeze=False)
    colors = ListedColormap(list(_COLORS[: len(names)]))
    for axes in grid.ravel():
        axes.set_axis_off()
    look: dict[str, Any] = {"cmap": colors, "vmin": -0.5, "vmax": len(names) - 0.5}
    for number, line in enumerate(grid):
        line[0].imshow(np.asarray(shown["images"][number]), cmap="gray", vmin=0, vmax=255)
        line[1].imshow(np.asarray(shown["labels"][number]), interpolation="nearest", **look)
        for axes, estimate in zip(line[2:], shown["estimates"], strict=False):
            axes.imshow(np.asarray(estimate[number]), interpolation="nearest", **look)
    titles = ["image", "labels", *(f"iteration {n + 1}" for n in range(columns - 2))]
    for axes, title in zip(grid[0], titles, strict=False):
        axes.set_title(title)
    handles = [
        Patch(facecolor=color, edgecolor="#8c8c8c", linewidth=0.5, label=name)
        for name, color in zip(names, _COLORS, strict=False)
    ]
    canvas.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=1)
    return canvas


def _percent(summary: Mapping[str, Any]) -> str:
    return format_summary(Summary(**summary), 100, "std")
