"""Worked examples of the lectures."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import ops
from cnnjax.report import Block, Code, Heading, Paragraph, Table

TITLE = "Worked examples"

Numbers = Mapping[str, Any]

LAPLACE_INPUT = (
    (0, 10, 9, 3, 4),
    (4, 3, 2, 1, 5),
    (10, 2, 10, 3, 0),
    (3, -1, -3, -3, -4),
    (-4, -10, -8, -1, -2),
)
CORRELATED_INPUT = (
    (3, 3, 2, 1, 0, 0),
    (0, 1, 3, 1, 3, 1),
    (2, 2, 3, 2, 0, 0),
    (2, 2, 2, 0, 0, 0),
    (1, 0, 1, 3, 2, 2),
    (3, 2, 0, 3, 0, 1),
)
CORRELATED_KERNEL = ((2, 2, 2), (0, 1, 0), (2, 0, 1))
VOLUME = (
    ((0, 0, 1, 0, 2), (1, 0, 2, 0, 1), (1, 0, 2, 2, 0), (2, 0, 0, 2, 0), (2, 1, 2, 2, 0)),
    ((2, 1, 2, 1, 1), (2, 1, 2, 0, 1), (0, 2, 1, 0, 1), (1, 2, 2, 2, 2), (0, 1, 2, 0, 1)),
    ((2, 1, 1, 2, 0), (1, 0, 0, 1, 0), (0, 1, 0, 0, 0), (1, 0, 2, 1, 0), (2, 2, 1, 1, 1)),
)
VOLUME_FILTERS = (
    (
        ((-1, 0, 1), (0, 0, 1), (1, -1, 1)),
        ((-1, 0, 1), (1, -1, 1), (0, 1, 0)),
        ((-1, 1, 1), (1, 1, 0), (0, -1, 0)),
    ),
    (
        ((0, 1, -1), (0, -1, 0), (0, -1, 1)),
        ((-1, 0, 0), (1, -1, 0), (1, -1, 0)),
        ((-1, 1, -1), (0, -1, -1), (1, 0, 0)),
    ),
)
POOLED_INPUT = (
    (3, 3, 2, 1, 0),
    (0, 0, 1, 3, 1),
    (3, 1, 2, 2, 3),
    (2, 0, 0, 2, 2),
    (2, 0, 0, 0, 1),
)
HALVED_INPUT = ((0, 10, 9, 3), (4, 3, 2, 1), (10, 2, 10, 3), (3, -1, -3, -3))
DETECTORS = (0.1, 1.0, 0.2, 0.1, 0.0, 0.1)


def numbers() -> dict[str, Any]:
    """All results, by the name of the example."""
    halved, places = ops.max_pool_with_argmax(_image(HALVED_INPUT)[None], (2, 2), strides=2)
    dense = 2 * 320 * 280 * 319 * 280
    photograph = jax.ShapeDtypeStruct((1, 320, 280, 1), np.float32)
    kernel = jax.ShapeDtypeStruct((2, 1, 1, 1), np.float32)
    edge = jax.eval_shape(lambda x, k: ops.conv(x, k, padding="VALID"), photograph, kernel)
    return {
        "laplacian": _plane(
            ops.conv(_image(LAPLACE_INPUT), _kernel(ops.laplacian_kernel()), padding="VALID")
        ),
        "correlation": _plane(
            ops.conv(_image(CORRELATED_INPUT), _kernel(CORRELATED_KERNEL), padding="VALID")
        ),
        "volume": _strided_volume(),
        "pooled": _plane(ops.max_pool(_image(POOLED_INPUT), (3, 3), strides=2, padding=1)),
        "pooled_densely": _plane(ops.max_pool(_image(POOLED_INPUT), (3, 3))),
        "halved": _plane(halved[0]),
        "argmax": np.asarray(places[0, ..., 0]),
        "ceil_mode": np.asarray(
            ops.max_pool(_image([DETECTORS]), 3, strides=2, ceil_mode=True)
        ).ravel(),
        "shapes": _shapes(),
        # Two products and a sum for each output.
        "edge_operations": edge.size * 3,
        "dense_operations": dense,
        "stacked_weights": [2 * ops.weight_count((3, 3), 1, 1), ops.weight_count((5, 5), 1, 1)],
        "stacked_field": [_field([3, 3]), _field([5])],
        "normalised": np.asarray(
            ops.local_response_normalization(
                jnp.asarray([[1.0, 2.0, 3.0]]), radius=1, bias=1.0, alpha=1.0, beta=0.5
            )
        )[0],
        "kernels": {
            "box": ops.box_kernel(3),
            "Gaussian, sigma 1": ops.gaussian_kernel(3),
            "Sobel": ops.sobel_kernel(0),
            "Sobel, transposed": ops.sobel_kernel(1),
            "Gabor, frequency 1": ops.gabor_kernel(3),
        },
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The examples, with their inputs beside their results."""
    bordered = np.pad(POOLED_INPUT, 1)
    shown = [
        ("Laplacian of an image, no padding", LAPLACE_INPUT, numbers["laplacian"]),
        ("Cross-correlation with a kernel", CORRELATED_INPUT, numbers["correlation"]),
        ("Maximum of 3 x 3, stride 2, inside a border of zeros", bordered, numbers["pooled"]),
        ("The same without the border, stride 1", POOLED_INPUT, numbers["pooled_densely"]),
        ("Maximum of 2 x 2, stride 2", HALVED_INPUT, numbers["halved"]),
    ]
    found: list[Block] = []
    for title, given, result in shown:
        found += [Heading(title, 3), Code(_beside(given, result))]
    few, many = numbers["stacked_weights"]
    largest = numbers["shapes"][-1]
    inputs = np.prod(largest["input"])
    return [
        *found,
        Paragraph(
            "Flat indices of those maxima, ((b height + y) width + x) channels + c: "
            f"{_flat(numbers['argmax'])}."
        ),
        Heading("A strided volume", 3),
        Paragraph(
            "5 x 5 x 3, zero padding 1, stride 2, two filters of 3 x 3 x 3 with biases 1 and 0."
        ),
        Code(_beside(*(np.array(plane) for plane in numbers["volume"]), arrow="   and  ")),
        Heading("Pooling that keeps the smaller last region", 3),
        Paragraph(
            f"Of {_flat(DETECTORS)} with width 3 and stride 2: {_flat(numbers['ceil_mode'])}."
        ),
        Heading("Shapes and weights", 3),
        Table(
            ["input", "operation", "output", "weights", "units"],
            [
                [
                    _size(row["input"]),
                    row["operation"],
                    _size(row["output"]),
                    *(
                        f"{row[name]:,}" if row[name] is not None else "–"
                        for name in ("weights", "units")
                    ),
                ]
                for row in numbers["shapes"]
            ],
        ),
        Paragraph(
            f"The last pooling discards {100 * (1 - largest['units'] / inputs):.0f} % of the "
            "activations and no channel."
        ),
        Heading("Costs", 3),
        Paragraph(
            f"Vertical differences of a 320 x 280 image take {numbers['edge_operations']:,} "
            f"operations as a convolution and {numbers['dense_operations']:,} as a dense matrix. "
            "Two stacked 3 x 3 convolutions have a receptive field of "
            f"{numbers['stacked_field'][0]} pixels, as one 5 x 5 has "
            f"({numbers['stacked_field'][1]}), with {few}/{many} of its weights."
        ),
        Heading("Normalisation and fixed kernels", 3),
        Paragraph(
            "Local response normalisation of (1, 2, 3) with bias, alpha and radius 1 and beta 1/2: "
            f"{_flat(numbers['normalised'])}."
        ),
        Code(
            "\n\n".join(f"{name}\n{_matrix(kernel)}" for name, kernel in numbers["kernels"].items())
        ),
    ]


def _strided_volume() -> np.ndarray:
    """Example 3: planes of the two filters, `[2, 3, 3]`."""
    # Arranged on the host: jax would compile each operation.
    x = jnp.asarray(np.moveaxis(np.array(VOLUME, np.float32), 0, -1))
    kernel = jnp.asarray(np.transpose(np.array(VOLUME_FILTERS, np.float32), (2, 3, 1, 0)))
    z = np.asarray(ops.conv(x, kernel, strides=2, padding=1)) + np.array([1, 0], np.float32)
    return np.moveaxis(z, -1, 0)


def _shapes() -> list[dict[str, Any]]:
    """Example 6."""

    def row(shape, window, features, operation, operator=ops.conv, **options):
        x, kernel = (
            jax.ShapeDtypeStruct(each, np.float32)
            for each in (shape, (*window, shape[-1], features))
        )
        out = jax.eval_shape(lambda x, k: operator(x, k, **options), x, kernel)
        return {
            "input": shape,
            "operation": operation,
            "output": out.shape,
            "weights": ops.weight_count(window, shape[-1], features),
            "units": int(np.prod(out.shape)),
        }

    def pooled(shape):
        x = jax.ShapeDtypeStruct(shape, np.float32)
        out = jax.eval_shape(lambda x: ops.max_pool(x, (2, 2), strides=2), x)
        return {
            "input": shape,
            "operation": "2 x 2 pooling, stride 2",
            "output": out.shape,
            "weights": None,
            "units": int(np.prod(out.shape)),
        }

    return [
        row((443, 592, 3), (5, 5), 6, "5 x 5, 6 filters, VALID", padding="VALID"),
        row((2000, 2000, 3), (5, 5), 16, "5 x 5, 16 filters, SAME"),
        *(
            row((16, 16, 1), (3, 3), 1, f"3 x 3, VALID, stride {s}", padding="VALID", strides=s)
            for s in (2, 3, 4)
        ),
        row((7, 7, 1), (3, 3), 1, "3 x 3, padding 1", padding=1),
        row((32, 32, 3), (5, 5), 6, "5 x 5, 6 filters, VALID", padding="VALID"),
        row(
            (4, 10, 8, 128),
            (3, 3),
            32,
            "transposed 3 x 3, 32 filters, VALID, stride 2",
            ops.conv_transpose,
            padding="VALID",
            strides=2,
        ),
        row((32, 32, 3), (5, 5), 16, "5 x 5, 16 filters, SAME"),
        pooled((32, 32, 16)),
        pooled((224, 224, 64)),
    ]


def _field(windows: list[int]) -> int:
    return ops.receptive_field([(size, 1, 1) for size in windows])[0]


def _image(rows) -> jax.Array:
    return jnp.asarray(np.array(rows, np.float32)[..., None])


def _kernel(rows) -> jax.Array:
    return jnp.asarray(np.array(rows, np.float32)[..., None, None])


def _plane(x: jax.Array) -> np.ndarray:
    return np.asarray(x)[..., 0]


def _matrix(rows) -> str:
    cells = [[f"{value:.4g}" for value in row] for row in np.asarray(rows)]
    width = max(len(cell) for row in cells for cell in row)
    return "\n".join("  ".join(cell.rjust(width) for cell in row) for row in cells)


def _beside(left, right, arrow: str = "   ->   ") -> str:
    """Two matrices on the same lines."""
    columns = [_matrix(left).split("\n"), _matrix(right).split("\n")]
    height = max(len(column) for column in columns)
    for column in columns:
        column += [""] * (height - len(column))
    width = max(len(line) for line in columns[0])
    middle = height // 2
    return "\n".join(
        f"{first.ljust(width)}{arrow if line == middle else ' ' * len(arrow)}{second}".rstrip()
        for line, (first, second) in enumerate(zip(*columns, strict=True))
    )


def _flat(values) -> str:
    return ", ".join(f"{value:.4g}" for value in np.ravel(values))


def _size(shape) -> str:
    return " x ".join(map(str, shape))
