"""Efficient algorithms: by Fourier transform, and by separable kernels."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure as Canvas

from cnnjax import ops
from cnnjax.inspect import interleaved_seconds
from cnnjax.report import (
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    VERMILLION,
    Block,
    Figure,
    Heading,
    Paragraph,
    Table,
    format_number,
    styled,
)

TITLE = "Efficient algorithms"

Numbers = Mapping[str, Any]

# With what they convolve as arguments: constants would be convolved by the compiler.
_direct, _fft, _separate = (
    jax.jit(algorithm) for algorithm in (ops.conv, ops.fft_conv, ops.separable_conv)
)

SIZE = 128
WINDOWS = (3, 5, 9, 15, 23, 33, 45)


def numbers() -> dict[str, Any]:
    """Modelled and measured costs by kernel size, and which kernels are separable."""
    noise = np.random.default_rng(0)
    x = jnp.asarray(noise.normal(size=(1, SIZE, SIZE, 1)), jnp.float32)
    measured, modelled, differences = {}, {}, []
    for window in WINDOWS:
        factors = [jnp.asarray(noise.normal(size=window) / window, jnp.float32) for _ in range(2)]
        kernel = jnp.outer(factors[0], factors[1])[..., None, None]
        algorithms = {
            "direct": functools.partial(_direct, x, kernel),
            "fft": functools.partial(_fft, x, kernel),
            "separable": functools.partial(_separate, x, factors),
        }
        results = [np.asarray(algorithm()) for algorithm in algorithms.values()]
        differences.append(max(float(np.abs(each - results[0]).max()) for each in results))
        seconds = interleaved_seconds(algorithms, rounds=7)
        measured[window] = {name: each["median"] for name, each in seconds.items()}
        modelled[window] = ops.algorithm_costs((SIZE, SIZE), window)
    kernels = {
        "box": ops.box_kernel(5),
        "Gaussian": ops.gaussian_kernel(5),
        "Sobel": ops.sobel_kernel(),
        "Laplacian": ops.laplacian_kernel(),
        "Gabor, 45 degrees": ops.gabor_kernel(9, tau=np.pi / 4),
    }
    return {
        "size": SIZE,
        "windows": WINDOWS,
        "measured": [measured[window] for window in WINDOWS],
        "modelled": [modelled[window] for window in WINDOWS],
        "difference": max(differences),
        "crossover_measured": ops.crossover(measured),
        "crossover_modelled": ops.crossover(modelled),
        "kernels": {name: _separable(kernel) for name, kernel in kernels.items()},
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The crossover, and the separable kernels."""
    found = {
        how: "no kernel size tried"
        if numbers[f"crossover_{how}"] is None
        else f"a kernel size of {numbers[f'crossover_{how}']}"
        for how in ("measured", "modelled")
    }
    return [
        Paragraph(
            f"One image of {numbers['size']} x {numbers['size']}, one channel: the transform is "
            f"cheaper than the direct sum from {found['measured']} on (measured here) and from "
            f"{found['modelled']} on (by counting multiply-adds). All three give the same to "
            f"{format_number(numbers['difference'], 2)}."
        ),
        Figure(
            "crossover",
            _crossover(numbers),
            "Time (left, medians of interleaved calls on this machine) and multiply-adds (right) "
            "against kernel size, of the direct sum, the Fourier transform, and a separable kernel "
            "one axis at a time.",
            "Two panels of three rising curves against kernel size.",
        ),
        Heading("Which kernels are separable", 3),
        Table(
            ["kernel", "separable", "second over first singular value", "error of the nearest"],
            [
                [
                    name,
                    "yes" if row["separable"] else "no",
                    format_number(row["ratio"], 2),
                    format_number(row["error"], 2),
                ]
                for name, row in numbers["kernels"].items()
            ],
            caption="Error: of the nearest outer product, ||K - a b^T|| / ||K||.",
        ),
        Paragraph(
            "cnnjax.ops.best_algorithm chooses by modelled or measured cost; is_separable and "
            "separable_factors find the vectors."
        ),
    ]


def _separable(kernel: np.ndarray) -> dict[str, Any]:
    values = np.linalg.svd(np.asarray(kernel, np.float64), compute_uv=False)
    rows, columns = ops.separable_factors(kernel)
    rest = np.asarray(kernel) - np.outer(rows, columns)
    return {
        "separable": ops.is_separable(kernel),
        "ratio": values[1] / values[0],
        "error": np.linalg.norm(rest) / np.linalg.norm(kernel),
    }


_LOOK = {"direct": (BLUE, "o-"), "fft": (VERMILLION, "s--"), "separable": (GREEN, "^:")}


@styled
def _crossover(numbers: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.5))
    left, right = canvas.subplots(1, 2)
    for axes, costs, scale, label in (
        (left, numbers["measured"], 1e3, "time (ms)"),
        (right, numbers["modelled"], 1e-6, "multiply-adds (10⁶)"),
    ):
        for name, (color, style) in _LOOK.items():
            values = [scale * each[name] for each in costs]
            axes.plot(numbers["windows"], values, style, color=color, markersize=3, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(numbers["windows"], labels=map(str, numbers["windows"]))
        axes.minorticks_off()
        axes.set_xlabel("kernel size")
        axes.set_ylabel(label)
        axes.grid()
    handles, names = left.get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside upper center", ncols=3)
    return canvas
