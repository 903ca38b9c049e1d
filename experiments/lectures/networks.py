"""Classic networks: parameters, cost and receptive fields."""

from collections.abc import Mapping
from typing import Any

from cnnjax import models
from cnnjax.inspect import cost_of, layers_of
from cnnjax.report import MISSING, Block, Code, Heading, Paragraph, Table, format_count

TITLE = "Classic networks"

Numbers = Mapping[str, Any]

NETWORKS = (
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


def numbers() -> dict[str, Any]:
    """Totals of each network in its published form, traced without computing anything."""
    rows = []
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
                "parameters": parameters,
                "multiply_adds": multiply_adds,
                "receptive_field": max(fields, default=None),
            }
        )
    return {"rows": rows}


def blocks(numbers: Numbers) -> list[Block]:
    """The table, and where to look further."""
    return [
        Table(
            ["network", "image", "parameters", "multiply-adds", "receptive field (pixels)"],
            [
                [
                    row["network"],
                    " x ".join(map(str, row["image"])),
                    f"{row['parameters']:,}",
                    format_count(row["multiply_adds"], 3),
                    MISSING if row["receptive_field"] is None else str(row["receptive_field"]),
                ]
                for row in numbers["rows"]
            ],
            caption="Receptive field: the largest that arithmetic finds, before the first layer "
            "that depends on the whole image; padding included, so that it may be larger than the "
            "image.",
        ),
        Heading("Look further", 3),
        Paragraph(
            "Print and draw every layer of one; train it; measure to which transformations it is "
            "equivariant; and any of that with another convolution:"
        ),
        Code(
            "python launch.py architecture VGG16\n"
            "python launch.py train --model ResNet20\n"
            "python launch.py audit --model ResNet20\n"
            "python launch.py architecture ResNet20 --conv tiled --conv.tile 2"
        ),
    ]
