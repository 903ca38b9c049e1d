"""The page of a look inside a network, made from its results alone."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas

from cnnjax.report.images import image_grid
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import BLUE, DOUBLE_COLUMN, png, styled
from cnnjax.report.table import format_number
from cnnjax.run.record import Record

Results = Mapping[str, Any]

QUESTION = "What has a network learned to see?"


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of a look inside a network.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(QUESTION, _blocks(results), record.directory)


def _blocks(results: Results) -> list[Block]:
    right = sum(each["label"] == each["predicted"] for each in results["decisions"])
    return [
        Paragraph(
            f"{results['module']} on {results['data']}, {results['weights']}. Of the "
            f"{len(results['decisions'])} images explained below {right} are read rightly.",
            lead=True,
        ),
        *_filter_blocks(results["filters"]),
        Heading("Feature maps"),
        Figure(
            "feature_maps",
            png(maps_figure(results["maps"])),
            "One image, and the first channels of what layers make of it, each over its own range; "
            f"{_shown_layers(results['maps'])} of {len(results['maps']['layers'])} layers.",
            "Rows of feature maps, a row for each layer.",
        ),
        Heading("A hierarchy of features"),
        Paragraph(
            "For the units that vary most in each layer: left the image that the unit in the "
            "middle answers most, found by gradient ascent (jittered, blurred, in the decorrelated "
            "spectrum, at the length of a real image); right the nine patches of real images that "
            "the channel answers most, as large as its receptive field."
        ),
        *(
            Figure(
                f"units_{number}",
                png(units_figure(layer)),
                f"{layer['layer']}: receptive field {layer['field']} pixels.",
                f"Preferred inputs and patches of units of {layer['layer']}.",
            )
            for number, layer in enumerate(results["units"], start=1)
        ),
        Figure(
            "classes",
            png(
                image_grid(
                    dict(zip(results["class_names"], results["classes"], strict=False)),
                    signed=True,
                )
            ),
            "The image that raises each class' logit most, found in the same way.",
            "A preferred image for each class.",
        ),
        Heading("What decisions rest on"),
        Figure(
            "decisions",
            png(decisions_figure(results)),
            "Test images; the gradient of the predicted class' logit, smoothed over noisy copies, "
            "largest channel; and how far that logit falls when a square is covered with the "
            "darkest value of all of them (red falls, blue rises).",
            "Images with saliency and occlusion maps.",
        ),
        Heading("Source"),
        Paragraph(
            "Erhan, Bengio, Courville, Vincent, Visualizing higher-layer features of a deep "
            "network, 2009; Simonyan, Vedaldi, Zisserman, Deep inside convolutional networks, "
            "2014; Zeiler, Fergus, Visualizing and understanding convolutional networks, 2014; "
            "Olah, Mordvintsev, Schubert, Feature visualization, 2017; Smilkov et al., SmoothGrad, "
            "2017; Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.10 (Gabor)."
        ),
    ]


def _filter_blocks(filters: Mapping[str, Any] | None) -> list[Block]:
    if filters is None:
        return []
    fits = filters["gabor_fit"]
    titles = [
        f"{number}" + (f": {fits[number - 1]:.2f}" if fits else "")
        for number in range(1, len(filters["kernels"]) + 1)
    ]
    blocks: list[Block] = [
        Heading("Filters of the first layer"),
        Figure(
            "filters",
            png(
                image_grid(
                    dict(zip(titles, filters["kernels"], strict=True)), columns=8, signed=True
                )
            ),
            f"Kernels of {filters['layer']}, the mean over their inputs"
            + (", with the R² of the nearest Gabor function." if fits else "."),
            "Small images of kernels.",
        ),
    ]
    if fits:
        noise = format_number(float(np.mean(filters["gabor_fit_of_noise"])), 2)
        blocks.append(
            Paragraph(
                f"The nearest Gabor functions explain {format_number(float(np.mean(fits)), 2)} of "
                f"the kernels' variance on average; of noise of the same size {noise}, since eight "
                "parameters fit much of a small kernel."
            )
        )
    return blocks


def _shown_layers(maps: Mapping[str, Any]) -> int:
    return min(12, len(maps["layers"]))


@styled
def maps_figure(maps: Mapping[str, Any]) -> Canvas:
    """A row for each layer: its name and the maps of its first channels."""
    spread = np.linspace(0, len(maps["layers"]) - 1, _shown_layers(maps)).round().astype(int)
    layers = [maps["layers"][index] for index in spread]
    rows = [{"name": "image", "maps": [maps["image"]]}, *layers]
    columns = 9
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 0.72 * len(rows) + 0.2))
    grid = canvas.subplots(len(rows), columns, squeeze=False)
    for line, layer in zip(grid, rows, strict=True):
        for axes in line:
            axes.set_axis_off()
        line[0].text(1.0, 0.5, layer["name"], ha="right", va="center", transform=line[0].transAxes)
        for axes, image in zip(line[1:], layer["maps"], strict=False):
            axes.imshow(np.asarray(image), cmap="gray")
    return canvas


@styled
def units_figure(layer: Mapping[str, Any]) -> Canvas:
    """For each unit its preferred input, and a square of nine patches."""
    units = layer["units"]
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 1.25 * (-(-len(units) // 3)) + 0.1))
    grid = canvas.subplots(-(-len(units) // 3), 6, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    gaps = matplotlib.colormaps["gray"].with_extremes(bad=BLUE)
    for number, unit in enumerate(units):
        preferred = np.asarray(unit["preferred"])
        largest = max(np.abs(preferred).max(), 1e-12)
        left, right = grid[2 * number], grid[2 * number + 1]
        left.imshow(preferred, cmap="RdBu_r", vmin=-largest, vmax=largest)
        left.set_title(f"channel {unit['channel']}", pad=2)
        # White patches must not run into the page.
        right.imshow(_tiled(np.asarray(unit["patches"])), cmap=gaps)
    return canvas


def _tiled(patches: np.ndarray) -> np.ndarray:
    """Nine patches as one square, with gaps of no value."""
    count, side = len(patches), patches.shape[1]
    gap = max(1, side // 10)
    square = np.full((3 * (side + gap) - gap,) * 2, np.nan)
    for number in range(min(9, count)):
        row, column = divmod(number, 3)
        top, left = row * (side + gap), column * (side + gap)
        square[top : top + side, left : left + side] = patches[number]
    return square


@styled
def decisions_figure(results: Results) -> Canvas:
    """A column for each image: itself, its saliency, its occlusion."""
    decisions, names = results["decisions"], results["class_names"]
    columns = max(5, len(decisions))
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 3 * DOUBLE_COLUMN / columns + 0.4))
    grid = canvas.subplots(3, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for column, decision in enumerate(decisions):
        image, saliency, occlusion = grid[:, column]
        guess = names[decision["predicted"]]
        title = guess if decision["label"] == decision["predicted"] else (
            f"{names[decision['label']]}, read as {guess}"
        )  # fmt: skip
        image.imshow(np.asarray(decision["image"]), cmap="gray")
        image.set_title(title, pad=3)
        saliency.imshow(np.asarray(decision["saliency"]), cmap="inferno")
        fall = np.asarray(decision["occlusion"])
        largest = max(np.abs(fall).max(), 1e-12)
        occlusion.imshow(fall, cmap="RdBu_r", vmin=-largest, vmax=largest)
    for axes, label in zip(grid[:, 0], ("image", "saliency", "occlusion"), strict=True):
        axes.text(-0.08, 0.5, label, rotation=90, ha="right", va="center", transform=axes.transAxes)
    return canvas
