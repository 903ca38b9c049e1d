"""Receptive fields by arithmetic and by gradient, theoretical and effective."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import ops
from cnnjax.inspect import receptive_field
from cnnjax.report import Block, Code, Figure, Paragraph, Table, format_number, image_grid

TITLE = "Receptive fields"

Numbers = Mapping[str, Any]

STACKS = {
    "1 of 3 x 3": [(3, 1, 1)],
    "2 of 3 x 3": [(3, 1, 1)] * 2,
    "5 of 3 x 3": [(3, 1, 1)] * 5,
    "10 of 3 x 3": [(3, 1, 1)] * 10,
    "3, dilated 1, 2, 4": [(3, 1, 1), (3, 1, 2), (3, 1, 4)],
}
"""Stacks of convolutions, each (kernel size, stride, dilation)."""
SIZE = 33


def numbers() -> dict[str, Any]:
    """Sizes by arithmetic and by gradient, and the map of gradients, of each stack."""
    return {name: _stack(layers) for name, layers in STACKS.items()}


def blocks(numbers: Numbers) -> list[Block]:
    """The maps and the sizes."""
    name, deepest = max(numbers.items(), key=lambda item: item[1]["arithmetic"])
    return [
        Paragraph(
            "A kernel adds (kernel size - 1) times the dilation and the strides below it to the "
            "receptive field. The same sizes are found as the pixels at which the gradient is not "
            "zero. The effective receptive field is smaller in deep stacks, where the gradient "
            "decreases towards the edge: "
            f"{format_number(deepest['effective'], 3)} of {deepest['arithmetic']} pixels for "
            f"{name}."
        ),
        Figure(
            "receptive_fields",
            image_grid({name: stack["map"] for name, stack in numbers.items()}),
            f"Root mean square gradient of the middle unit by each pixel of {SIZE} x {SIZE}; "
            "random weights, ReLU.",
            "Bright spots that grow with the number of layers.",
        ),
        Table(
            ["stack", "by arithmetic", "by gradient", "effective"],
            [
                [
                    name,
                    str(stack["arithmetic"]),
                    str(stack["gradient"]),
                    format_number(stack["effective"], 2),
                ]
                for name, stack in numbers.items()
            ],
            align=["left", "right", "right", "right"],
            caption="Pixels along an axis; effective: the side of the square of pixels whose "
            "gradient is above 4.55 % of the largest (Luo et al., 2016).",
        ),
        Paragraph("For every layer of any network by arithmetic:"),
        Code("python launch.py architecture VGG16"),
    ]


def _stack(layers: list[tuple[int, int, int]]) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    channels = 8
    kernels = [
        jnp.asarray(draw.normal(size=(size, size, channels, channels)), jnp.float32)
        / np.sqrt(size**2 * channels / 2)
        for size, _, _ in layers
    ]

    def network(x: jax.Array) -> jax.Array:
        for kernel, (_, stride, dilation) in zip(kernels, layers, strict=True):
            x = jax.nn.relu(ops.conv(x, kernel, strides=stride, kernel_dilation=dilation))
        return x

    field = receptive_field(network, (SIZE, SIZE, channels))
    largest = field.squared_gradient.max()
    return {
        "arithmetic": ops.receptive_field(layers)[0],
        "gradient": field.sizes[0],
        "effective": field.effective_size,
        "map": np.sqrt(field.squared_gradient / largest).round(4),
    }
