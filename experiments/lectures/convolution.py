"""Convolution as mathematics: continuous and discrete; stride, transposition and dilation."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure as Canvas

from cnnjax import ops
from cnnjax.inspect import linear_map
from cnnjax.report import (
    BLUE,
    DOUBLE_COLUMN,
    GREY,
    VERMILLION,
    Block,
    Figure,
    Heading,
    Paragraph,
    Table,
    format_number,
    styled,
)

TITLE = "Convolution, mathematically"

Numbers = Mapping[str, Any]


def numbers() -> dict[str, Any]:
    """Curves of a continuous convolution, and the error of each law."""
    return {"sensor": _sensor(), "box": _box(), "laws": _laws()}


def blocks(numbers: Numbers) -> list[Block]:
    """The curves, and the laws with the largest difference of their two sides."""
    box = numbers["box"]
    errors = ", ".join(
        f"{format_number(error, 2)} at a step of {format_number(step, 2)}"
        for step, error in zip(box["steps"], box["errors"], strict=True)
    )
    return [
        Paragraph(
            "A sensor measures positions x(t) with noise; weights that decay with the age a > 0 "
            "of a measurement, w(a) = exp(-a), give the smoother s(t) = integral of x(a) w(t - a) "
            "da. On a grid of fine steps the integral is a sum, which the operators compute "
            "0-based and without the flip: z[p] = sum over a of x[p + a] kernel[a] "
            "(cross-correlation). With flip_kernel=True they compute the convolution of "
            "mathematics."
        ),
        Figure(
            "sensor",
            _curves(numbers),
            "Left: measurements of a sensor and their weighted mean. Right: a box convolved with "
            "an exponential decay, as a sum in steps of 0.025 and as an integral.",
            "A noisy curve with a smooth one through it; a box, smeared out.",
        ),
        Paragraph(
            "The largest distance of the sum from the integral, 1 - exp(-t) up to t = 1 and "
            f"exp(1 - t) - exp(-t) from there, is {errors}: it decreases with the step."
        ),
        Heading("Laws", 3),
        Table(
            ["law", "largest difference of the two sides"],
            [[law["law"], format_number(law["difference"], 2)] for law in numbers["laws"]],
            caption="On Gaussian noise, in float32; the last line is false.",
        ),
    ]


def _sensor() -> dict[str, Any]:
    step, noise = 0.05, np.random.default_rng(0)
    time = np.arange(0, 12, step)
    true = np.sin(0.8 * time)
    reports = true + noise.normal(0, 0.35, time.size)
    ages = np.arange(0, 5, step)
    weights = np.exp(-ages) / np.exp(-ages).sum()
    smooth = _convolved(reports, weights)[: time.size]
    return {"time": time, "true": true, "reports": reports, "smooth": smooth}


def _box() -> dict[str, Any]:
    """A box of length 1, convolved with exp(-t) in finer and finer steps."""
    errors, steps = [], [0.1, 0.05, 0.025]
    for step in steps:
        time = step * np.arange(round(4 / step))
        box, decay = (time < 1 - step / 2).astype(float), np.exp(-time)
        smeared = _convolved(box, decay)[: time.size] * step
        # A sum up to sample n covers n + 1 steps.
        end = time + step
        integral = np.where(end <= 1, 1 - np.exp(-end), np.exp(1 - end) - np.exp(-end))
        errors.append(np.abs(smeared - integral).max())
    return {"steps": steps, "errors": errors, "time": end, "smeared": smeared, "integral": integral}


def _laws() -> list[dict[str, Any]]:
    noise = np.random.default_rng(1)
    x, k = noise.normal(size=(2, 1, 24, 1)).astype(np.float32)
    image = noise.normal(size=(1, 9, 9, 2)).astype(np.float32)
    square = jnp.asarray(noise.normal(size=(3, 3, 2, 4)), jnp.float32)
    down, _ = linear_map(
        jax.jit(lambda z: ops.conv(z, square, strides=2, padding="VALID")), (11, 11, 2)
    )
    transposed, _ = linear_map(jax.jit(functools.partial(_transposed, kernel=square)), (5, 5, 4))
    swapped, flipped, sampled, inserted, dilated, false = jax.device_get(
        _sides(x, k[0, :5], image, square)
    )
    laws = {
        "x * k = k * x (full convolution)": swapped,
        "cross-correlation = convolution with the flipped kernel": flipped,
        "stride 2 = stride 1, then every second position": sampled,
        "transposed convolution = zeros inserted, then convolution": inserted,
        "transposed convolution = the transpose of the linear map": (transposed, down.T),
        "dilation 2 = the kernel with zeros between its entries": dilated,
        "cross-correlation = convolution (false)": false,
    }
    return [
        {"law": law, "difference": float(np.abs(one - other).max())}
        for law, (one, other) in laws.items()
    ]


def _transposed(z: jax.Array, kernel: jax.Array) -> jax.Array:
    return ops.conv_transpose(z, kernel, strides=2, padding="VALID", transpose_kernel=True)


@jax.jit
def _sides(
    x: jax.Array, k: jax.Array, image: jax.Array, square: jax.Array
) -> list[tuple[jax.Array, jax.Array]]:
    """Both sides of the laws of convolutions: of a line x with a kernel k, of an image."""
    kernel = k[..., None]
    full = ops.conv(x, kernel, padding="FULL", flip_kernel=True)
    swapped = ops.conv(k[None], x[0][..., None], padding="FULL", flip_kernel=True)
    correlated = ops.conv(x, kernel, padding="FULL")
    back = ops.conv(x, kernel[::-1], padding="FULL", flip_kernel=True)

    strided = ops.conv(image, square, strides=2, padding=1)
    sampled = ops.conv(image, square, padding=1)[:, ::2, ::2]

    up = _transposed(strided, square)
    zeros = jnp.zeros((1, 2 * 5 - 1, 2 * 5 - 1, 4)).at[:, ::2, ::2].set(strided)
    turned = jnp.flip(square, (0, 1)).swapaxes(-1, -2)
    inserted = ops.conv(zeros, turned, padding=2)

    spread = jnp.zeros((5, 5, 2, 4)).at[::2, ::2].set(square)
    return [
        (full, swapped),
        (correlated, back),
        (strided, sampled),
        (up, inserted),
        (ops.conv(image, square, kernel_dilation=2), ops.conv(image, spread)),
        (correlated, full),
    ]


_full = jax.jit(functools.partial(ops.conv, padding="FULL", flip_kernel=True))


def _convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Full convolution of two vectors."""
    z = _full(x.astype(np.float32)[:, None], kernel.astype(np.float32)[:, None, None])
    return np.asarray(z)[:, 0]


@styled
def _curves(numbers: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.3))
    left, right = canvas.subplots(1, 2, width_ratios=(2, 1))
    sensor, box = numbers["sensor"], numbers["box"]
    left.plot(
        sensor["time"], sensor["reports"], ".", color=GREY, markersize=2, label="measurements x"
    )
    left.plot(sensor["time"], sensor["true"], color=BLUE, linewidth=1, label="position")
    left.plot(sensor["time"], sensor["smooth"], color=VERMILLION, linewidth=1.4, label="s = x * w")
    left.set_xlabel("time t")
    left.legend(loc="upper right", ncols=3)
    left.set_ylim(-2, 2.6)
    right.plot([0, 0, 1, 1], [0, 1, 1, 0], color=BLUE, linewidth=1.2, label="box")
    right.plot(box["time"], box["integral"], color=GREY, linewidth=3, label="integral")
    right.plot(box["time"], box["smeared"], color=VERMILLION, linewidth=1.2, label="sum")
    right.set_xlabel("t")
    right.set_ylim(0, 1.1)
    right.legend(loc="upper right")
    return canvas
