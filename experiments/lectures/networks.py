"""Classic networks: units, connections, parameters, cost and receptive fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import FancyBboxPatch

from cnnjax import models
from cnnjax.inspect import cost_of, layers_of
from cnnjax.report import (
    BLACK,
    DOUBLE_COLUMN,
    GREY,
    MISSING,
    Block,
    Code,
    Figure,
    Heading,
    Paragraph,
    Table,
    format_count,
    format_number,
    styled,
)

TITLE = "Classic networks"

Numbers = Mapping[str, Any]

NETWORKS = (
    "ConvPoolDense",
    "LeCun1989",
    "LeNet5",
    "AlexNet",
    "VGG11",
    "VGG16",
    "VGG19",
    "GoogLeNet",
    "ResNet18",
    "ResNet50",
    "ResNet20",
    "DenseNet121",
    "AllCNN",
    "CifarTutorial",
)
LISTED = {"ConvPoolDense": "The simplest network", "LeCun1989": "Handwritten zip codes, 1989"}
"""Networks of which every layer is shown."""


def numbers() -> dict[str, Any]:
    """Totals of each network in its published form, traced without computing anything."""
    rows = []
    listed = {}
    for name in NETWORKS:
        model = getattr(models, name)()
        shape = getattr(model, "image_shape", (224, 224, 3))
        layers = layers_of(model, shape)
        parameters, multiply_adds = cost_of(model, shape)
        fields = [max(layer.receptive_field) for layer in layers if layer.receptive_field]
        rows.append(
            {
                "network": name,
                "image": shape,
                "layers": len(layers),
                "units": sum(layer.units for layer in layers),
                "connections": sum(layer.connections for layer in layers),
                "parameters": parameters,
                "multiply_adds": multiply_adds,
                "receptive_field": max(fields, default=None),
            }
        )
        if name in LISTED:
            listed[name] = [
                {
                    "layer": layer.name,
                    "input": layer.input_shape,
                    "output": layer.output_shape,
                    "units": layer.units,
                    "connections": layer.connections,
                    "parameters": layer.parameters,
                }
                for layer in layers
            ]
    return {"rows": rows, "listed": listed}


def blocks(numbers: Numbers) -> list[Block]:
    """A layer in two terminologies, small networks layer by layer, and the table of all."""
    rows = {row["network"]: row for row in numbers["rows"]}
    found: list[Block] = []
    if "ConvPoolDense" in numbers["listed"]:
        convolution, *_ = simplest = numbers["listed"]["ConvPoolDense"]
        found += [
            Heading("What a layer is", 3),
            Paragraph(
                "Convolution, nonlinearity and pooling are stages of one layer in one terminology, "
                "and layers of their own in another, in which not every layer has parameters; "
                "cnnjax counts and names the latter. With the shapes of the network below:"
            ),
            Figure(
                "terminology",
                _terminology([convolution["input"], *(layer["output"] for layer in simplest[:2])]),
                "Left: one layer of three stages. Right: three layers (after figure 9.7 of "
                "Goodfellow, Bengio, Courville, 2016).",
                "Boxes one above the other; on the left inside of a larger box.",
            ),
        ]
    sentences = {
        "ConvPoolDense": _simplest,
        "LeCun1989": _zip_codes,
    }
    for name, layers in numbers["listed"].items():
        found += [
            Heading(LISTED[name], 3),
            Paragraph(sentences[name](rows[name], layers)),
            _layers_table(layers),
        ]
    return [
        *found,
        Heading("All of them", 3),
        Table(
            [
                "network",
                "image",
                "units",
                "connections",
                "parameters",
                "parameters a unit",
                "multiply-adds",
                "receptive field (pixels)",
            ],
            [
                [
                    row["network"],
                    _shape(row["image"]),
                    f"{row['units']:,}",
                    format_count(row["connections"], 3),
                    f"{row['parameters']:,}",
                    format_number(row["parameters"] / row["units"], 2),
                    format_count(row["multiply_adds"], 3),
                    MISSING if row["receptive_field"] is None else str(row["receptive_field"]),
                ]
                for row in numbers["rows"]
            ],
            caption="Units: outputs of layers that weigh their inputs by parameters, the pixels of "
            "the image not among them. Connections: inputs of all units, biases and padding "
            "included. Receptive field: the largest that arithmetic finds, before the first layer "
            "that depends on the whole image; padding included, so that it may be larger than the "
            "image.",
        ),
        Heading("Look further", 3),
        Paragraph(
            "Print and draw every layer of one; train it; measure to which transformations it is "
            "equivariant; any of that with another convolution; and what GoogLeNet has learned, "
            "from a file of torchvision's weights:"
        ),
        Code(
            "python launch.py architecture VGG16\n"
            "python launch.py train --model ResNet20\n"
            "python launch.py audit --model ResNet20\n"
            "python launch.py architecture ResNet20 --conv tiled --conv.tile 2\n"
            "python launch.py visualise GoogLeNetBatchNorm --weights FILE --data imagenet2012 "
            "--size 224 --data-dir DIR"
        ),
    ]


def _simplest(row: Numbers, layers: Sequence[Numbers]) -> str:
    dense = layers[-1]
    return (
        f"INPUT - CONV - ReLU - POOL - FC, for images {_shape(row['image'])}. The dense layer "
        f"reads the whole volume: {dense['parameters']:,} of its {row['parameters']:,} parameters. "
        "(It is PlainNet with one stage, no batch normalisation and the readout 'volume'; PlainNet "
        "takes any pooling, any convolution and several activations.)"
    )


def _zip_codes(row: Numbers, layers: Sequence[Numbers]) -> str:
    inputs = 1
    for size in row["image"]:
        inputs *= size
    return (
        "Strides of 2 in place of pooling, kernels that all positions share but a bias for every "
        "unit, and maps of H2 that each take 8 of the 12 maps of H1 (LeCun and others, "
        f"Backpropagation applied to handwritten zip code recognition, 1989). {inputs:,} inputs "
        f"and {row['units']:,} units are {inputs + row['units']:,}, with {row['connections']:,} "
        f"connections and {row['parameters']:,} parameters: "
        f"{100 * row['parameters'] / row['connections']:.0f} for 100 connections, as kernels are "
        "shared."
    )


def _layers_table(layers: Sequence[Numbers]) -> Table:
    return Table(
        ["layer", "output", "units", "connections", "parameters"],
        [
            [
                layer["layer"],
                _shape(layer["output"]),
                *(
                    f"{layer[name]:,}" if layer[name] else MISSING
                    for name in ("units", "connections", "parameters")
                ),
            ]
            for layer in layers
        ],
        align=["left", "left", "right", "right", "right"],
    )


@styled
def _terminology(shapes: Sequence[Sequence[int]]) -> Canvas:
    """Input, convolved and pooled volume of a layer; its nonlinearity keeps the shape."""
    given, convolved, pooled = map(_shape, shapes)
    stages = [
        ("Convolution: affine transform", convolved),
        ("Detector: nonlinearity, ReLU", convolved),
        ("Pooling", pooled),
    ]
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.9))
    left, right = canvas.subplots(1, 2)
    for axes, kind, title in (
        (left, "stage", "complex layers: few, of several stages"),
        (right, "layer", "simple layers: many, each one step"),
    ):
        axes.set_title(title)
        axes.text(0.5, 0.02, f"input {given}", ha="center", va="center")
        for number, (name, shape) in enumerate(stages):
            first, _, rest = name.partition(":")
            text = f"{first} {kind}{':' if rest else ''}{rest}\n{shape}"
            _box(axes, 0.19 + 0.25 * number, text)
        for number in range(4):
            bottom = 0.06 + 0.25 * number
            axes.annotate(
                "", (0.5, bottom + 0.12), (0.5, bottom + 0.03), arrowprops={"arrowstyle": "->"}
            )
        axes.text(0.5, 0.99, "next layer", ha="center", va="center")
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.03, 1.03)
        axes.set_axis_off()
    left.add_patch(
        FancyBboxPatch(
            (0.06, 0.145), 0.88, 0.755, boxstyle="round,pad=0.01", fill=False, edgecolor=BLACK
        )
    )
    left.text(0.03, 0.5, "convolutional layer", rotation=90, ha="center", va="center")
    return canvas


def _box(axes: Axes, bottom: float, text: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (0.14, bottom), 0.72, 0.13, boxstyle="round,pad=0.01", facecolor="#f2f2f2",
            edgecolor=GREY,
        )
    )  # fmt: skip
    axes.text(0.5, bottom + 0.065, text, ha="center", va="center", fontsize=7.5)


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
