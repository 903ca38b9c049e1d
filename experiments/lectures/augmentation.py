"""Augmentation of a photograph, each kind by itself."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_sample_image

from cnnjax.data.augmentation import augment
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.report import Block, Code, Figure, Paragraph, image_grid

TITLE = "Augmentation"

Numbers = Mapping[str, Any]

KINDS: dict[str, dict[str, Any]] = {
    "rotation": {"rotation": 25.0},
    "translation": {"translation": 0.2},
    "rescale": {"rescale": 1.6},
    "zoom": {"zoom": 1.6},
    "shear": {"shear": 25.0},
    "shear, rows kept": {"shear": 25.0, "shear_keeps": "rows"},
    "mirroring": {"mirror_columns": True},
    "elastic": {"elastic": 1.5},
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 2.5},
    "spot of light": {"spot": 0.6},
    "noise": {"noise": 0.12},
    "cutout": {"cutout": 30},
}
BORDERS = ("constant", "edge", "reflect", "circular")


def numbers() -> dict[str, Any]:
    """A photograph changed by each kind, and rotated with each kind of border."""
    photograph = _photograph()
    rotated = Augmentation(rotation=25.0, fill=0.5)
    kinds = {"as it is": Augmentation()}
    kinds |= {name: Augmentation(**amounts, fill=0.5) for name, amounts in KINDS.items()}
    borders = {name: dataclasses.replace(rotated, border=name) for name in BORDERS}
    return {
        "kinds": {name: _changed(photograph, each, 1) for name, each in kinds.items()},
        "borders": {name: _changed(photograph, each, 4) for name, each in borders.items()},
    }


def blocks(numbers: Numbers) -> list[Block]:
    """Both rows of pictures."""
    return [
        Paragraph(
            "Images are augmented on the device, inside the compiled step, each by its own key, "
            "which follows from seed and step. All geometric changes are one warp with one "
            "interpolation."
        ),
        Figure(
            "kinds",
            image_grid(numbers["kinds"]),
            "A photograph (scikit-learn's sample image flower.jpg, small), changed by one draw of "
            "each kind.",
            "A flower, changed in thirteen ways.",
        ),
        Figure(
            "borders",
            image_grid(numbers["borders"], columns=4),
            "The same rotation with each kind of border. A fill unlike the background shows how "
            "far an image was moved, and networks learn to use it:",
            "A rotated flower with four kinds of corners.",
        ),
        Code("python launch.py augmentation"),
    ]


def _changed(photograph: np.ndarray, augmentation: Augmentation, seed: int) -> np.ndarray:
    x = jnp.asarray(photograph, jnp.float32)[None] / 255
    keys = jax.random.split(jax.random.key(seed), 1)
    changed = np.asarray(augment(x, keys, augmentation))[0]
    return np.clip(255 * changed, 0, 255).round().astype(int)


def _photograph() -> np.ndarray:
    image = load_sample_image("flower.jpg")[:424, 100:524]
    return image.reshape(53, 8, 53, 8, 3).mean((1, 3))
