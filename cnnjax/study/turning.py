"""A data set whose images are turned about their centre inside the compiled steps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.study.classification import Classification, on_canvas
from cnnjax.symmetry import rotate
from cnnjax.train.config import TrainConfig


def on_turntable(
    data: str, data_dir: str | None, train: TrainConfig, *, canvas: int | None = None
) -> Classification:
    """A data set on a black canvas, turned by the angles that its source says.

    In training every image is turned by an angle of its own, drawn uniformly from 0 to `turn`; in
    evaluation all by `angle`. Both are in radians, counter-clockwise, bilinear, and may differ from
    call to call without compiling again; without them nothing turns.

    Args:
      data: TFDS name.
      data_dir: where prepared data sets are.
      train: how to train.
      canvas: side in pixels, see `on_canvas`.

    Raises:
      InputError: the canvas is smaller than the image.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    task = on_canvas(data, data_dir, train, canvas=canvas, margin=0, fill="zero")
    nothing = np.zeros_like(task.dataset.train.images[:1])
    black = float(task.place(nothing).min())

    def turned(images, angles):
        # Black is what lies outside, so that no corner tells the angle.
        return jax.vmap(lambda image, angle: rotate(image, angle, black))(images, angles)

    def augment(images, keys, source):
        angles = source["turn"] * jax.vmap(jax.random.uniform)(keys)
        return turned(task.place(images), angles)

    def augment_test(images, keys, source):
        del keys
        return turned(task.place(images), jnp.full(len(images), source["angle"]))

    return dataclasses.replace(
        task, augment=augment, augment_test=augment_test, defaults={"turn": 0.0, "angle": 0.0}
    )
