"""The two gradients of a strided convolution, written as sums."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cnnjax import ops
from cnnjax.report import Block, Code, Paragraph, Table, format_number

TITLE = "Gradients, written out"

Numbers = Mapping[str, Any]


def numbers() -> dict[str, Any]:
    """Largest difference between the sums and automatic differentiation."""
    noise = np.random.default_rng(0)
    x = noise.normal(size=(2, 12, 11, 3)).astype(np.float32)
    kernel = noise.normal(size=(3, 4, 3, 5)).astype(np.float32)
    rows = []
    for strides, padding in ((1, "VALID"), (2, "VALID"), (3, "SAME")):
        options: dict[str, Any] = {"strides": strides, "padding": padding}
        convolve = functools.partial(ops.conv, **options)
        g = noise.normal(size=jax.eval_shape(convolve, x, kernel).shape).astype(np.float32)

        @jax.jit
        def both(x, kernel, g, convolve=convolve, options=options):
            by_x = ops.conv_input_gradient(g, kernel, (12, 11), **options)
            by_kernel = ops.conv_kernel_gradient(x, g, (3, 4), **options)
            return *jax.vjp(convolve, x, kernel)[1](g), by_x, by_kernel

        to_x, to_kernel, by_x, by_kernel = jax.device_get(both(x, kernel, g))
        rows.append(
            {
                **options,
                "kernel": float(np.abs(by_kernel - to_kernel).max()),
                "input": float(np.abs(by_x - to_x).max()),
                "largest_kernel": float(np.abs(to_kernel).max()),
                "largest_input": float(np.abs(to_x).max()),
            }
        )
    return {"rows": rows}


def blocks(numbers: Numbers) -> list[Block]:
    """The sums, and their differences."""
    return [
        Paragraph("With G the gradient of the loss by the output of a convolution with stride s:"),
        Code(
            "dK[i, j, k, l] = sum over m, n             of  G[i, m, n] V[j, m s + k, n s + l]\n"
            "dV[i, j, k]    = sum over l, m: l s + m = j\n"
            "                 and n, p: n s + p = k, q  of  K[q, i, m, p] G[q, l, n]"
        ),
        Paragraph(
            "Both are operators, cnnjax.ops.conv_kernel_gradient and conv_input_gradient; both "
            "agree with automatic differentiation to rounding."
        ),
        Table(
            ["stride", "padding", "kernel's gradient", "of", "input's gradient", "of"],
            [
                [
                    str(row["strides"]),
                    row["padding"],
                    format_number(row["kernel"], 2),
                    format_number(row["largest_kernel"], 3),
                    format_number(row["input"], 2),
                    format_number(row["largest_input"], 3),
                ]
                for row in numbers["rows"]
            ],
            caption="Largest absolute difference from automatic differentiation, and the largest "
            "entry; float32.",
        ),
    ]
