"""Which positions share weights in standard, tiled, local and dense layers, and what that costs."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cnnjax.inspect import multiply_adds, parameter_count, sharing_pattern
from cnnjax.layers import Conv, FullyConnected, LocalConv, TiledConv
from cnnjax.report import Block, Code, Figure, Heading, Paragraph, Table
from cnnjax.report.figures.connections import connection_diagram
from cnnjax.symmetry import sharing_defect, translation_lattice

TITLE = "Sharing weights"

Numbers = Mapping[str, Any]

UNITS = 6
LAYERS = {
    "standard": Conv(1, 3, padding="CIRCULAR", use_bias=False),
    "tiled, t = 2": TiledConv(1, 3, tile=2, padding="CIRCULAR", use_bias=False),
    "local": LocalConv(1, 3, padding="CIRCULAR", use_bias=False),
    "dense": FullyConnected(1, 3, use_bias=False),
}


def numbers() -> dict[str, Any]:
    """Connections, weights, cost and symmetry of each layer of six units."""
    return {name: _layer(layer) for name, layer in LAYERS.items()}


def blocks(numbers: Numbers) -> list[Block]:
    """Connection diagrams and a table."""
    found: list[Block] = [
        Paragraph(
            "A convolution layer is a choice of which output positions share weights: all of them "
            "(standard), every t-th (tiled), none (local: unshared convolution); a dense layer "
            "connects everything. Drawn from the layers themselves, one colour a weight."
        )
    ]
    for number, (name, layer) in enumerate(numbers.items(), start=1):
        windows = "" if name == "dense" else ", windows of three, circular padding"
        found += [
            Heading(name, 3),
            Figure(
                f"connections_{number}",
                connection_diagram(np.asarray(layer["labels"])),
                f"{name}: {UNITS} inputs, {UNITS} outputs{windows} (after "
                "figures 9.2, 9.3, 9.5 and 9.16 of Goodfellow, Bengio, Courville, 2016).",
                f"Units and their connections in a {name} layer.",
            ),
        ]
    return [
        *found,
        Table(
            [
                "layer",
                "connections",
                "weights",
                "multiply-adds",
                "equivariant to",
                "sharing defect",
            ],
            [
                [
                    name,
                    str(layer["connections"]),
                    str(layer["weights"]),
                    str(layer["multiply_adds"]),
                    "no shift" if layer["lattice"] == UNITS else f"shifts by {layer['lattice']}",
                    "–" if layer["defect"] is None else f"{layer['defect']:.2f}",
                ]
                for name, layer in numbers.items()
            ],
            caption=(
                "Measured: the smallest circular shift to which each layer is equivariant, and the "
                "distance of its random kernels K from their mean P K, ||K - P K||² / ||K||²."
            ),
        ),
        Paragraph("The same for any layer, and what networks of such layers learn:"),
        Code("python launch.py card --conv tiled --conv.tile 2\npython launch.py equivariance"),
    ]


def _layer(layer: Any) -> dict[str, Any]:
    x = np.zeros((1, UNITS, 1), np.float32)
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    params = variables["params"]
    labels = sharing_pattern(lambda x, p: layer.apply({"params": p}, x), params, (UNITS, 1))
    bank = params["kernel"]
    axes = bank.ndim - 3
    defect = None
    if not isinstance(layer, FullyConnected):
        # One kernel is a bank of one position.
        defect = float(sharing_defect(bank if axes else bank[None], axes=1))
    return {
        "labels": labels,
        "connections": int((labels >= 0).sum()),
        "weights": parameter_count(params),
        "multiply_adds": multiply_adds(layer.apply, variables, x),
        "lattice": translation_lattice(lambda x: layer.apply(variables, x), (2, UNITS, 1))[0],
        "defect": defect,
    }
