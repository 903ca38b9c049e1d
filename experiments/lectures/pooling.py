"""Pooling of every kind, and strides instead of it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import ops
from cnnjax.inspect import multiply_adds, parameter_count
from cnnjax.models.all_cnn import AllCNN
from cnnjax.report import Block, Code, Heading, Paragraph, Table, format_count, format_number

TITLE = "Pooling"

Numbers = Mapping[str, Any]

DETECTORS = (0.3, 0.1, 1.0, 0.2, 0.1, 0.0)
"""Responses of figure 9.8 of Goodfellow, Bengio, Courville, 2016; all at least 0."""


def numbers() -> dict[str, Any]:
    """Every pooling of one line of detectors, and the family of All-CNN."""
    *pooled, index = jax.device_get(_pooled(np.asarray(DETECTORS, np.float32)[None, :, None]))
    return {
        "detectors": DETECTORS,
        "kinds": {name: z.ravel() for name, z in zip(_POOLINGS, pooled, strict=True)},
        "argmax": index.ravel(),
        "all_cnn": [_all_cnn(base, variant) for base in "ABC" for variant in _VARIANTS],
    }


def blocks(numbers: Numbers) -> list[Block]:
    """Both tables."""
    return [
        Paragraph(
            f"Responses of detectors, {_list(numbers['detectors'])}, pooled. The maxima of three "
            f"at stride 2 have the flat indices {', '.join(map(str, numbers['argmax']))}."
        ),
        Table(
            ["pooling", "result"],
            [[name, _list(values)] for name, values in numbers["kinds"].items()],
            align=["left", "left"],
        ),
        Heading("A stride instead of pooling", 3),
        Paragraph(
            "The networks of Springenberg, Dosovitskiy, Brox and Riedmiller (2015) for images of "
            "32 x 32 x 3: pooling, a stride in the convolution before it, one more convolution "
            "before it, or a strided convolution instead of it (All-CNN). The choice as an "
            "operator is cnnjax.ops.pool_or_stride. To train one:"
        ),
        Code("python launch.py train --model AllCNN"),
        Table(
            ["base", "variant", "parameters", "multiply-adds"],
            [
                [
                    row["base"],
                    row["variant"],
                    f"{row['parameters']:,}",
                    format_count(row["multiply_adds"], 3),
                ]
                for row in numbers["all_cnn"]
            ],
        ),
    ]


def _mean_of_draws(x: jax.Array) -> jax.Array:
    keys = jax.random.split(jax.random.key(0), 4000)
    return jax.vmap(lambda key: ops.stochastic_pool(x, 3, strides=2, key=key, padding="VALID"))(
        keys
    ).mean(0)


_POOLINGS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "max, 3 stride 2 (overlapping)": lambda x: ops.max_pool(x, 3, strides=2),
    "max, smaller last region kept": lambda x: ops.max_pool(x, 3, strides=2, ceil_mode=True),
    "max, 3 stride 1": lambda x: ops.max_pool(x, 3),
    "average, 3 stride 2": lambda x: ops.average_pool(x, 3, strides=2),
    "stochastic, evaluation": lambda x: ops.stochastic_pool(x, 3, strides=2),
    "stochastic, mean of 4,000 draws": _mean_of_draws,
    "global average": ops.global_average_pool,
    "global max": ops.global_max_pool,
    "across channels, 3": lambda x: ops.cross_channel_max_pool(x.swapaxes(1, 2), 3),
}


@jax.jit
def _pooled(x: jax.Array) -> list[jax.Array]:
    """Every pooling of x, and the flat indices of its maxima."""
    _, index = ops.max_pool_with_argmax(x, 3, strides=2)
    return [*(pool(x) for pool in _POOLINGS.values()), index]


_VARIANTS = ("base", "strided", "conv_pool", "all_cnn")


def _all_cnn(base: Any, variant: Any) -> dict[str, Any]:
    model = AllCNN(base=base, variant=variant)
    x = jnp.zeros((1, 32, 32, 3))
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    return {
        "base": base,
        "variant": variant,
        "parameters": parameter_count(variables["params"]),
        "multiply_adds": multiply_adds(model.apply, variables, x),
    }


def _list(values) -> str:
    return ", ".join(format_number(value, 2) for value in values)
