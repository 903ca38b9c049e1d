"""Strides and zero padding: which inputs a unit depends on, and how large the output is."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from cnnjax import ops
from cnnjax.inspect import UNCONNECTED, sharing_pattern
from cnnjax.report import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREY,
    VERMILLION,
    Block,
    Figure,
    Heading,
    Paragraph,
    Table,
    image_grid,
    styled,
)

TITLE = "Strides, padding, and sizes"

Numbers = Mapping[str, Any]

INPUTS = 5
WIDTH, KERNEL_SIZE, LAYERS = 16, 6, 3
IMAGE, STRIDES = 16, (1, 2, 3, 4)


def numbers() -> dict[str, Any]:
    """Connections of strided layers, sizes of deep ones, and what strides read of an image."""
    strided = _connections(INPUTS, 3, strides=2, padding=1)
    shapes = {padding: [WIDTH] for padding in ("VALID", "SAME")}
    deep: dict[str, list[np.ndarray]] = {padding: [] for padding in shapes}
    for padding, sizes in shapes.items():
        while len(sizes) <= LAYERS and sizes[-1] >= KERNEL_SIZE:
            deep[padding].append(_connections(sizes[-1], KERNEL_SIZE, padding=padding))
            sizes.append(len(deep[padding][-1]))
    return {
        "strided": strided,
        "dense": _connections(INPUTS, 3, padding=1),
        "sees": [[f"x{place + 1}" for place in np.flatnonzero(row)] for row in strided],
        "deep": deep,
        "sizes": shapes,
        "images": [_strided_image(stride) for stride in STRIDES],
    }


def blocks(numbers: Numbers) -> list[Block]:
    """Diagrams of units, and images of what is read."""
    shrinking, kept = (" → ".join(map(str, numbers["sizes"][name])) for name in ("VALID", "SAME"))
    return [
        Heading("Which inputs a unit sees under a stride", 3),
        Paragraph(
            "Kernel size 3, stride 2, one zero on either side: "
            + "; ".join(
                f"s{number} sees {', '.join(sees)}"
                for number, sees in enumerate(numbers["sees"], start=1)
            )
            + ". The same outputs come from a convolution with stride 1 of which every second "
            "output is kept; the others are computed and thrown away."
        ),
        Figure(
            "stride",
            _strides(numbers),
            "Left: a strided convolution; the connections of s₁ and s₃ are coloured. Right: stride "
            "1, then every second output (after figure 9.12 of Goodfellow, Bengio, Courville, "
            "2016).",
            "Rows of circles joined by lines.",
        ),
        Heading("Depth with and without zero padding", 3),
        Paragraph(
            f"Width {WIDTH}, kernel size {KERNEL_SIZE}. Without padding every layer takes "
            f"{KERNEL_SIZE - 1} positions away, {shrinking}, and there are no more layers than "
            f"that; with zeros at the border the width stays, {kept}, for any number of layers."
        ),
        Figure(
            "padding",
            _deep(numbers),
            "Left: no padding. Right: zeros (small dots) at either end of every layer (after "
            "figure 9.13 of Goodfellow, Bengio, Courville, 2016).",
            "A stack of rows that gets narrower, beside one that does not.",
        ),
        Heading("Strides on an image", 3),
        Figure(
            "strides",
            image_grid(
                {
                    f"stride {image['stride']}: {image['size']} x {image['size']}": image["reads"]
                    for image in numbers["images"]
                },
                columns=len(STRIDES),
            ),
            f"How many windows of 3 x 3, without padding, read each pixel of {IMAGE} x {IMAGE}: "
            "white most, black none.",
            "Four squares with regular patterns.",
        ),
        Table(
            ["stride", "(W - F) / S + 1", "output", "outputs of stride 1 kept", "pixels read"],
            [
                [
                    str(image["stride"]),
                    f"{image['exact']:.4g}",
                    f"{image['size']} x {image['size']}",
                    f"{100 * image['kept']:.0f} %",
                    f"{100 * image['read']:.0f} %",
                ]
                for image in numbers["images"]
            ],
            caption="Where (W - F) / S + 1 is no whole number the last pixels are not read; "
            "padding or another size of the image makes it one. A stride above the kernel size "
            "leaves out pixels between the windows as well.",
            align=["right"] * 5,
        ),
    ]


def _connections(width: int, size: int, **options: Any) -> np.ndarray:
    """Which outputs a line of inputs is connected to, `[outputs, inputs]`, from the operator."""
    kernel = np.ones((size, 1, 1), np.float32)
    labels = sharing_pattern(lambda x, k: ops.conv(x, k, **options), kernel, (width, 1))
    return labels != UNCONNECTED


def _strided_image(stride: int) -> dict[str, Any]:
    kernel = jnp.asarray(np.ones((3, 3, 1, 1), np.float32))

    def strided(x: jax.Array) -> jax.Array:
        return ops.conv(x, kernel, strides=stride, padding="VALID")

    image = np.ones((1, IMAGE, IMAGE, 1), np.float32)
    size = jax.eval_shape(strided, image).shape[1]
    # The sum of the outputs changes with a pixel by the number of windows that read it.
    reads = np.asarray(jax.jit(jax.grad(lambda x: strided(x).sum()))(image))[0, ..., 0]
    return {
        "stride": stride,
        "size": size,
        "exact": (IMAGE - 3) / stride + 1,
        "kept": (size / (IMAGE - 2)) ** 2,
        "read": float((reads > 0).mean()),
        "reads": reads.astype(int),
    }


@styled
def _strides(numbers: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.4))
    left, right = canvas.subplots(1, 2)
    strided, dense = np.asarray(numbers["strided"]), np.asarray(numbers["dense"])
    places = [np.arange(INPUTS), np.arange(0, INPUTS, 2)]
    _draw(left, [strided], places, ["x", "s"], {0: BLUE, 2: VERMILLION})
    kept = np.eye(INPUTS, dtype=bool)[::2]
    _draw(right, [dense, kept], [places[0], *places], ["x", "z", "s"], {})
    return canvas


@styled
def _deep(numbers: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.6))
    for axes, padding in zip(canvas.subplots(1, 2), ("VALID", "SAME"), strict=True):
        layers = [np.asarray(each) for each in numbers["deep"][padding]]
        sizes = numbers["sizes"][padding]
        places = [np.arange(size) + (WIDTH - size) / 2 for size in sizes]
        _draw(axes, layers, places, [""] * len(sizes), {})
        if padding == "SAME":
            low = (KERNEL_SIZE - 1) // 2
            for level in range(len(layers)):
                ends = [*range(-low, 0), *range(WIDTH, WIDTH + KERNEL_SIZE - 1 - low)]
                axes.plot(ends, [level] * len(ends), ".", color=GREY, markersize=3)
        axes.set_xlim(-3.5, WIDTH + 3.5)
    return canvas


def _draw(
    axes: Axes,
    layers: Sequence[np.ndarray],
    places: Sequence[np.ndarray],
    names: Sequence[str],
    colors: Mapping[int, str],
) -> None:
    """Units of each layer at their places, lowest layer first; connections of coloured outputs."""
    for level, connected in enumerate(layers):
        for output, source in zip(*np.nonzero(connected), strict=True):
            ends = [places[level][source], places[level + 1][output]]
            color = colors.get(int(output), "#b5b5b5")
            width = 1.6 if output in colors else 0.7
            axes.plot(ends, [level, level + 1], color=color, linewidth=width, zorder=1)
    size = 15 if any(names) else 4
    for level, (row, name) in enumerate(zip(places, names, strict=True)):
        axes.plot(
            row, [level] * len(row), "o", markersize=size, markerfacecolor="white",
            markeredgecolor=BLACK, markeredgewidth=0.7, zorder=2,
        )  # fmt: skip
        for number, place in enumerate(row if name else (), start=1):
            label = f"{name}{number}".translate(str.maketrans("12345", "₁₂₃₄₅"))
            axes.text(place, level, label, ha="center", va="center", fontsize=7, zorder=3)
    axes.set_ylim(-0.4, len(layers) + 0.4)
    axes.margins(x=0.1)
    axes.set_axis_off()
