"""The page of a network's architecture, made from its results alone."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Polygon

from cnnjax.report import style
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.table import MISSING, Table, format_count
from cnnjax.run.record import Record

Results = Mapping[str, Any]

_COLUMNS = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field", "jump")
_COLOURS = {
    "convolution": style.BLUE,
    "pooling": style.VERMILLION,
    "fully connected": style.GREEN,
}


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of a network.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(_title(results), _blocks(results), record.directory)


def text(results: Results) -> str:
    """The table of layers in plain characters, and the totals."""
    rows = [_COLUMNS, *_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("  ".join(left + right).rstrip())
    return "\n".join([*lines, "", answer(results)])


def answer(results: Results) -> str:
    """The totals in one sentence."""
    size = " x ".join(map(str, results["image_shape"]))
    made = f" made of {results['conv'][0]}" if results["conv"] else ""
    return (
        f"{results['model']}{made} has {results['parameters']:,} parameters, and takes "
        f"{results['multiply_adds']:,} multiply-adds for an image of {size}.{_between(results)}"
    )


def _between(results: Results) -> str:
    """What belongs to none of the layers, in a sentence if there is anything."""
    parameters, multiply_adds = (
        results[name] - sum(layer[name] for layer in results["layers"])
        for name in ("parameters", "multiply_adds")
    )
    if not parameters and not multiply_adds:
        return ""
    return (
        f" Of these, {parameters:,} parameters and {multiply_adds:,} multiply-adds are in modules "
        "that hold others, outside of all layers listed."
    )


@style.styled
def volumes(results: Results) -> matplotlib.figure.Figure:
    """Every volume of the network as a box: height and width as in space, thickness by channels.

    A box is as thick as the square root of its channels; what has no space is a bar as long as the
    square root of its units.
    """
    layers = _drawn(results)
    figure = matplotlib.figure.Figure(figsize=(style.DOUBLE_COLUMN, 2.6))
    axes = figure.subplots()
    scale = 100 / max((layer["output_shape"][0] for layer in layers if _space(layer)), default=1)
    left, last, labels = 0.0, None, []
    for layer in layers:
        *space, channels = layer["output_shape"]
        thickness = math.sqrt(channels) / 3
        if space:
            height = scale * space[0]
            depth = 0.35 * scale * space[1] if len(space) > 1 else 0.0
        else:
            height, depth, thickness = 3 * math.sqrt(channels) / 2, 0.0, 3.0
        _box(axes, left, height, depth, thickness, _COLOURS[_sort(layer)])
        if space != last and space:
            labels.append((left + thickness / 2, "x".join(map(str, space))))
        last = space
        left += thickness + depth * 0.35 + 1.5
    axes.set_xlim(-2, left + 20)
    axes.set_ylim(-62, 62 + 0.35 * 50)
    for number, (place, label) in enumerate(labels):
        level = -54 if number % 2 else -60
        axes.text(place, level, label, ha="center", va="center", fontsize=6)
    axes.set_axis_off()
    present = {_sort(layer) for layer in layers}
    patches = [
        Patch(facecolor=colour, label=name) for name, colour in _COLOURS.items() if name in present
    ]
    figure.legend(handles=patches, loc="outside upper center", ncols=4)
    return figure


@style.styled
def costs(results: Results) -> matplotlib.figure.Figure:
    """Parameters, multiply-adds and receptive field of every layer, one above the other."""
    layers = _drawn(results)
    figure = matplotlib.figure.Figure(figsize=(style.DOUBLE_COLUMN, 3.8))
    upper, middle, lower = figure.subplots(3, sharex=True)
    places = np.arange(len(layers))
    colours = [_COLOURS[_sort(layer)] for layer in layers]
    shown = (upper, "parameters", "parameters"), (middle, "multiply_adds", "MACs")
    for axes, key, label in shown:
        axes.bar(places, [layer[key] for layer in layers], color=colours, width=0.8)
        axes.yaxis.set_major_formatter(lambda value, _: format_count(value))
        axes.set_ylabel(label)
    fields = [layer["receptive_field"] for layer in layers]
    lower.plot(
        places,
        [field[0] if field else np.nan for field in fields],
        ".-",
        color=style.BLACK,
        markersize=3,
        linewidth=0.8,
    )
    lower.axhline(results["image_shape"][0], color=style.GREY, linewidth=0.8, linestyle=":")
    lower.set_ylabel("field (pixels)")
    if len(layers) <= 40:
        names = [layer["name"] for layer in layers]
        lower.set_xticks(places, names, rotation=90, fontsize=6)
    else:
        lower.set_xlabel("layer")
    figure.align_ylabels()
    return figure


def _title(results: Results) -> str:
    return f"{results['model']}, layer by layer"


def _blocks(results: Results) -> list[Block]:
    size = results["image_shape"][0]
    return [
        Paragraph(answer(results), lead=True),
        Heading("Volumes"),
        Figure(
            "volumes",
            style.png(volumes(results)),
            "What each layer gives, from left to right. Boxes are as high and deep as the volume "
            "in space, and as thick as the square root of its channels; bars without depth have "
            "no space.",
            f"Boxes that show the volumes of {results['model']}",
        ),
        Heading("Costs"),
        Figure(
            "costs",
            style.png(costs(results)),
            "Parameters and multiply-adds (MACs) of convolutions, pooling and fully connected "
            "layers, in the colours of the volumes, and the pixels that one output position sees "
            f"along the first axis; dotted: the image's {size}. A gap: all of the image.",
            f"Parameters, multiply-adds and receptive field of each layer of {results['model']}",
        ),
        Heading("Layers"),
        Table(
            _COLUMNS,
            _rows(results),
            "Output: space and channels, or units. Receptive field and jump, from one output "
            "position to the next, in pixels; all: the whole image, or not known by arithmetic.",
            align=("left",) * 3 + ("right",) * 4,
        ),
    ]


def _rows(results: Results) -> list[tuple[str, ...]]:
    return [
        (
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["output_shape"])),
            f"{layer['parameters']:,}" if layer["parameters"] else MISSING,
            f"{layer['multiply_adds']:,}" if layer["multiply_adds"] else MISSING,
            _pixels(layer["receptive_field"], "all"),
            _pixels(layer["jump"], MISSING),
        )
        for layer in results["layers"]
    ]


def _pixels(sizes: list[int] | None, otherwise: str) -> str:
    """One number where all axes agree."""
    if sizes is None:
        return otherwise
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _drawn(results: Results) -> list[Mapping[str, Any]]:
    """The layers whose boxes are drawn: those that are more than a change of values in place."""
    return [layer for layer in results["layers"] if _sort(layer)]


def _sort(layer: Mapping[str, Any]) -> str:
    """What sort of layer it is, by what it does to shapes and what it costs; '': neither."""
    if len(layer["output_shape"]) == 1 and layer["multiply_adds"]:
        return "fully connected"
    if layer["multiply_adds"]:
        return "convolution"
    if "Pool" in layer["kind"] or layer["input_shape"][:-1] != layer["output_shape"][:-1]:
        return "pooling"
    return ""


def _space(layer: Mapping[str, Any]) -> list[int]:
    return layer["output_shape"][:-1]


def _box(
    axes: Axes, left: float, height: float, depth: float, thickness: float, colour: str
) -> None:
    """A box centred on the line, drawn in oblique projection: front, top and side."""
    low, high, right = -height / 2, height / 2, left + thickness
    shift, rise = 0.35 * depth, 0.35 * depth
    front = (left, low), (right, low), (right, high), (left, high)
    top = (left, high), (right, high), (right + shift, high + rise), (left + shift, high + rise)
    side = (right, low), (right, high), (right + shift, high + rise), (right + shift, low + rise)
    faces = (front, 0.75), (top, 0.45), (side, 0.55)
    for corners, strength in faces:
        axes.add_patch(
            Polygon(corners, facecolor=(colour, strength), edgecolor="white", linewidth=0.3)
        )
