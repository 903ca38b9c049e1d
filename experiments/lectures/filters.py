"""Fixed filters on a photograph, and the cost of a convolution beside that of a matrix."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_sample_image

from cnnjax import ops
from cnnjax.inspect import interleaved_seconds
from cnnjax.report import Block, Figure, Heading, Paragraph, format_count, format_number, image_grid

TITLE = "Fixed filters"

Numbers = Mapping[str, Any]

HEIGHT, WIDTH = 80, 70
"""Sizes of the image whose edges are found."""
LARGE_HEIGHT, LARGE_WIDTH = 320, 280
"""Sizes of the image of the lectures, for which the dense matrix is not made."""


def numbers() -> dict[str, Any]:
    """A photograph through every filter, the bank of Gabor functions, and operations of edges."""
    photograph = _photograph()
    seen = {"photograph": photograph, **dict(zip(_FILTERS, _filtered(photograph), strict=True))}
    bank = np.moveaxis(ops.gabor_bank(15), -1, 0)[:10]
    outputs = (HEIGHT - 1) * WIDTH
    convolution, dense = outputs * 3, 2 * HEIGHT * WIDTH * outputs
    large = (LARGE_HEIGHT - 1) * LARGE_WIDTH, LARGE_HEIGHT * LARGE_WIDTH
    return {
        "seen": {name: np.asarray(z).round().astype(int) for name, z in seen.items()},
        "bank": bank.round(3),
        "edges": {
            "height": HEIGHT,
            "width": WIDTH,
            "convolution_operations": convolution,
            "dense_operations": dense,
            "operations_ratio": dense / convolution,
            "large_bytes": 4 * large[0] * large[1],
        },
    }


def times() -> dict[str, float]:
    """Seconds of vertical differences, as a convolution and as a dense matrix."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)), jnp.float32)
    kernel = jnp.array([-1.0, 1.0]).reshape(2, 1, 1, 1)
    matrix = jnp.asarray((np.eye(HEIGHT, k=1) - np.eye(HEIGHT))[:-1], jnp.float32)
    dense = jnp.kron(matrix, jnp.eye(WIDTH))
    convolve = jax.jit(lambda x, kernel: ops.conv(x[..., None], kernel, padding="VALID"))
    multiply = jax.jit(lambda x, dense: dense @ x.ravel())
    seconds = interleaved_seconds(
        {"convolution": lambda: convolve(x, kernel), "dense": lambda: multiply(x, dense)},
        rounds=15,
    )
    return {f"{name}_seconds": each["median"] for name, each in seconds.items()}


def blocks(numbers: Numbers) -> list[Block]:
    """The pictures and the cost."""
    edges = numbers["edges"]
    convolution, dense = (numbers[f"{name}_seconds"] for name in ("convolution", "dense"))
    bank = {str(number): kernel for number, kernel in enumerate(numbers["bank"], start=1)}
    return [
        Figure(
            "filters",
            image_grid(numbers["seen"]),
            "A photograph (scikit-learn's sample image china.jpg, grey, means of 4 x 4 pixels) and "
            "the outputs of fixed filters; each over its own range.",
            "A photograph, blurred, and with its edges.",
        ),
        Figure(
            "gabor_bank",
            image_grid(bank, columns=10, signed=True),
            "Gabor functions from cnnjax.ops.gabor_bank; blue is negative, red positive.",
            "Ten striped patches of several directions.",
        ),
        Paragraph(
            "As operators: cnnjax.ops.box_blur, gaussian_blur, laplacian, sobel, filter_channels. "
            "As layers that do not learn: cnnjax.layers.FixedFilter. As initialisers: "
            "cnnjax.layers.filter_init."
        ),
        Heading("Convolution and dense matrix", 3),
        Paragraph(
            f"Vertical differences of an image of {edges['height']} x {edges['width']}: "
            f"{edges['convolution_operations']:,} operations as a convolution, "
            f"{edges['dense_operations']:,} as a dense matrix, "
            f"{format_number(edges['operations_ratio'], 3)} times as many. Timed here, medians of "
            f"interleaved calls: {format_number(1e6 * convolution, 3)} and "
            f"{format_number(1e6 * dense, 3)} microseconds, "
            f"{format_number(dense / convolution, 3)} times as long. (At {LARGE_HEIGHT} x "
            f"{LARGE_WIDTH} the matrix would take {format_count(edges['large_bytes'], 2)}B.)"
        ),
    ]


_FILTERS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "box 3 x 3": lambda x: ops.box_blur(x, 3),
    "box 5 x 5": lambda x: ops.box_blur(x, 5),
    "box 11 x 11": lambda x: ops.box_blur(x, 11),
    "Gaussian, sigma 2": lambda x: ops.gaussian_blur(x, 2.0),
    "Laplacian": ops.laplacian,
    "Sobel, down": lambda x: ops.sobel(x, 0),
    "Sobel, across": lambda x: ops.sobel(x, 1),
    "Sobel, strength": ops.sobel_magnitude,
    "Gabor, 45 degrees": lambda x: ops.filter_channels(
        x, ops.gabor_kernel(15, beta_x=0.05, beta_y=0.05, frequency=0.9, tau=np.pi / 4)
    ),
}


@jax.jit
def _filtered(photograph: jax.Array) -> list[jax.Array]:
    """The photograph `[height, width]` through every filter."""
    return [seen(photograph[..., None])[..., 0] for seen in _FILTERS.values()]


def _photograph() -> np.ndarray:
    image = load_sample_image("china.jpg").mean(-1)
    # Mean of 4 x 4 pixels, so that nothing aliases.
    height, width = (size // 4 for size in image.shape)
    return (
        image[: 4 * height, : 4 * width]
        .reshape(height, 4, width, 4)
        .mean((1, 3))
        .round()
        .astype(np.float32)
    )
