"""What are the output shape, connections, parameters, cost and receptive field of every layer of a network?

The network is traced and not computed, so that the largest takes seconds on any machine. Units are
the outputs of layers that weigh their inputs by parameters, connections the inputs of all of them,
biases and padding included. Receptive fields are found by arithmetic, in pixels of the image,
padding included.

    python launch.py architecture VGG16
    python launch.py architecture ResNet50 --conv tiled --conv.tile 2
    python launch.py architecture my_package.my_module:Network --image-shape 64 64 1
    python launch.py architecture smoke                                     LeNet-5, a few seconds

Expected: VGG16 has 138,357,544 parameters and takes 15.5 GMACs for an image; nine tenths of the
parameters are in three fully connected layers, nearly all multiply-adds in the convolutions; the
receptive field of its last pooling is 212 pixels. AlexNet has 659,272 units, with 92 parameters
each; LeCun1989 1,000 besides its 256 inputs, and 64,660 connections.

Source: Araujo, Norris, Sim, Computing receptive fields of convolutional neural networks, 2019.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from cnnjax.models.choice import Convolution
from cnnjax.run.config import CheckedConfig, Positive, Requirement
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    import matplotlib.axes
    import matplotlib.figure
    import matplotlib.patches
    import numpy as np

    from cnnjax import inspect, report, tasks

SORTS = ("convolution", "pooling", "fully connected")
COLUMNS = (
    "layer",
    "class",
    "output",
    "connections",
    "parameters",
    "multiply-adds",
    "receptive field",
    "effective stride",
)
Layers = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which network, with which convolution, for which images."""

    model: Annotated[str, tyro.conf.Positional] = "VGG16"
    """Network of cnnjax.models, or package.module:Class."""
    conv: Annotated[
        tuple[Convolution, ...], Requirement(lambda some: len(some) < 2, "at most one convolution")
    ] = ()
    """Convolution in the place of the network's own, by name or import path."""
    image_shape: Annotated[
        tuple[Positive, ...],
        Requirement(lambda sizes: len(sizes) != 1, "sizes of space, then the number of channels"),
    ] = ()
    """Height, width and channels; by default those the network was published for, or 224 224 3."""


PRESETS = {"smoke": Config(model="LeNet5")}


def run(config: Config, record: Record) -> None:
    """Trace the network; print and draw its layers."""
    conv = config.conv[0] if config.conv else None
    model = tasks.make_model(config.model, conv)
    shape = config.image_shape or getattr(model, "image_shape", (224, 224, 3))
    with tasks.taking_images(config.model, shape):
        layers = [dataclasses.asdict(layer) for layer in inspect.layers_of(model, shape)]
        parameters, multiply_adds = inspect.cost_of(model, shape)
    results = record.results(
        {
            "model": config.model,
            "conv": conv and str(conv),
            "image_shape": shape,
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "layers": layers,
        }
    )
    print(text(results), flush=True)
    page(results, record)


def page(results: Mapping[str, Any], record: Record) -> None:
    """Write the page."""
    layers, size = results["layers"], results["image_shape"][0]
    report.write_page(
        record,
        __doc__,
        [
            totals(results),
            report.Heading("Volumes"),
            report.Figure(
                "volumes",
                report.styled(volumes)(layers),
                "Output of each layer, from left to right. Height and depth of a box are those of "
                "the volume in space, its thickness is the square root of the channels; bars "
                "without depth have no space.",
            ),
            report.Heading("Costs"),
            report.Figure(
                "costs",
                report.styled(costs)(layers, size),
                "Parameters and multiply-adds (MACs) of convolutions, pooling and fully connected "
                "layers, in the colours of the volumes, and the receptive field of one output "
                f"position along the first axis; dotted: the image's {size} pixels. Gap: the whole "
                "image.",
            ),
            report.Heading("Layers"),
            report.Table(
                COLUMNS,
                rows(layers),
                caption="Output: space and channels, or units. Receptive field and effective "
                "stride in pixels; all: the whole image, or not known by arithmetic.",
                align=("left",) * 3 + ("right",) * 5,
            ),
        ],
    )


def totals(results: Mapping[str, Any]) -> str:
    """Parameters and multiply-adds in a sentence, and in another those outside of all layers."""
    size = " x ".join(map(str, results["image_shape"]))
    conv = f" with {results['conv']} convolutions" if results["conv"] else ""
    found = (
        f"{results['model']}{conv} has {results['parameters']:,} parameters and takes "
        f"{results['multiply_adds']:,} multiply-adds for an image of {size}. {units(results)}"
    )
    parameters, multiply_adds = (
        results[name] - sum(layer[name] for layer in results["layers"])
        for name in ("parameters", "multiply_adds")
    )
    if not parameters and not multiply_adds:
        return found
    return (
        f"{found} Of these, {parameters:,} parameters and {multiply_adds:,} multiply-adds are in "
        "modules that contain others, outside of all layers listed."
    )


def units(results: Mapping[str, Any]) -> str:
    """Inputs, units and connections in a sentence, and the parameters to a unit."""
    inputs = math.prod(results["image_shape"])
    count, connections = (
        sum(layer[name] for layer in results["layers"]) for name in ("units", "connections")
    )
    found = f"Besides {inputs:,} inputs it has {count:,} units with {connections:,} connections"
    if not count:
        return f"{found}."
    return f"{found}: {report.format_number(results['parameters'] / count, 2)} parameters a unit."


def text(results: Mapping[str, Any]) -> str:
    """The table of layers in plain characters, and the totals."""
    lines = [COLUMNS, *rows(results["layers"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        [f"{cell:{'<' if place < 3 else '>'}{widths[place]}}" for place, cell in enumerate(line)]
        for line in lines
    ]
    return "\n".join([*("  ".join(line).rstrip() for line in aligned), "", totals(results)])


def rows(layers: Layers) -> list[tuple[str, ...]]:
    """A row of text for each layer, see COLUMNS."""
    return [
        (
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["output_shape"])),
            *(
                f"{layer[name]:,}" if layer[name] else report.MISSING
                for name in ("connections", "parameters", "multiply_adds")
            ),
            _pixels(layer["receptive_field"], "all"),
            _pixels(layer["effective_stride"], report.MISSING),
        )
        for layer in layers
    ]


def sort(layer: Mapping[str, Any]) -> str | None:
    """Which of SORTS a layer is, by what it does to shapes and what it costs; None: neither."""
    if layer["multiply_adds"]:
        return "fully connected" if len(layer["output_shape"]) == 1 else "convolution"
    changes_space = layer["input_shape"][:-1] != layer["output_shape"][:-1]
    return "pooling" if "Pool" in layer["kind"] or changes_space else None


def volumes(layers: Layers) -> matplotlib.figure.Figure:
    """The output of every layer as a box; what has no space is a bar as long as sqrt(units)."""
    layers = [layer for layer in layers if sort(layer)]
    figure = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 2.6))
    axes = figure.subplots()
    heights = [layer["output_shape"][0] for layer in layers if len(layer["output_shape"]) > 1]
    scale = 100 / max(heights, default=1)
    left, last, labels = 0.0, None, []
    for layer in layers:
        *space, channels = layer["output_shape"]
        thickness = math.sqrt(channels) / 3
        if space:
            height = scale * space[0]
            depth = 0.35 * scale * space[1] if len(space) > 1 else 0.0
        else:
            height, depth, thickness = 3 * math.sqrt(channels) / 2, 0.0, 3.0
        _box(axes, left, height, depth, thickness, _colour(layer))
        if space != last and space:
            labels.append((left + thickness / 2, "x".join(map(str, space))))
        last = space
        left += thickness + depth * 0.35 + 1.5
    axes.set_xlim(-2, left + 20)
    axes.set_ylim(-62, 62 + 0.35 * 50)
    for number, (place, label) in enumerate(labels):
        axes.text(place, -54 if number % 2 else -60, label, ha="center", va="center", fontsize=6)
    axes.set_axis_off()
    shown = {sort(layer): _colour(layer) for layer in layers}
    patches = [
        matplotlib.patches.Patch(facecolor=shown[name], label=name)
        for name in SORTS
        if name in shown
    ]
    figure.legend(handles=patches, loc="outside upper center", ncols=4)
    return figure


def costs(layers: Layers, size: int) -> matplotlib.figure.Figure:
    """Parameters, multiply-adds and receptive field of every layer, one above the other."""
    layers = [layer for layer in layers if sort(layer)]
    figure = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 3.8))
    upper, middle, lower = figure.subplots(3, sharex=True)
    places = np.arange(len(layers))
    for axes, key, label in (
        (upper, "parameters", "parameters"),
        (middle, "multiply_adds", "MACs"),
    ):
        values = [layer[key] for layer in layers]
        axes.bar(places, values, color=[_colour(layer) for layer in layers], width=0.8)
        axes.yaxis.set_major_formatter(lambda value, _: report.format_count(value))
        axes.set_ylabel(label)
    fields = [(layer["receptive_field"] or [np.nan])[0] for layer in layers]
    lower.plot(places, fields, ".-", color=report.BLACK, markersize=3, linewidth=0.8)
    lower.axhline(size, color=report.GREY, linewidth=0.8, linestyle=":")
    lower.set_ylabel("field (pixels)")
    if len(layers) <= 40:
        names = [layer["name"] for layer in layers]
        lower.set_xticks(places, names, rotation=90, fontsize=6)
    else:
        lower.set_xlabel("layer")
    figure.align_ylabels()
    return figure


def _pixels(sizes: Sequence[int] | None, otherwise: str) -> str:
    """One number where all axes agree."""
    if sizes is None:
        return otherwise
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))


def _colour(layer: Mapping[str, Any]) -> str:
    return dict(zip(SORTS, (report.BLUE, report.VERMILLION, report.GREEN)))[sort(layer) or ""]


def _box(
    axes: matplotlib.axes.Axes,
    left: float,
    height: float,
    depth: float,
    thickness: float,
    colour: str,
) -> None:
    """A box centred on the line, drawn in oblique projection: front, top and side."""
    low, high, right = -height / 2, height / 2, left + thickness
    shift = rise = 0.35 * depth
    front = (left, low), (right, low), (right, high), (left, high)
    top = (left, high), (right, high), (right + shift, high + rise), (left + shift, high + rise)
    side = (right, low), (right, high), (right + shift, high + rise), (right + shift, low + rise)
    for corners, strength in ((front, 0.75), (top, 0.45), (side, 0.55)):
        axes.add_patch(
            matplotlib.patches.Polygon(
                corners, facecolor=(colour, strength), edgecolor="white", linewidth=0.3
            )
        )
