"""A data set whose images are rotated about their centre inside the compiled steps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry import rotate
from cnnjax.tasks.canvas import on_canvas
from cnnjax.tasks.task import Task, pipeline


@pipeline
def rotated(data: str, data_dir: str | None = None, *, canvas: int | None = None) -> Task:
    """A data set on a black canvas, rotated by the angles that its source says.

    In training every image is rotated by an angle of its own, drawn uniformly from 0 to
    `largest_angle`; in evaluation all by `angle`. Both are in radians, counter-clockwise, bilinear,
    and may differ from call to call without compiling again; by default nothing is rotated.

    Args:
      data: TFDS name.
      data_dir: directory of prepared data sets.
      canvas: height and width in pixels, see `on_canvas`.

    Raises:
      InputError: the canvas is smaller than the image.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    task = on_canvas(data, data_dir, canvas=canvas, margin=0, fill="zero")
    nothing = np.zeros_like(task.train.read(np.arange(1))[0])
    black = float(task.place(nothing).min())

    def rotate_all(images, angles):
        # Black is what lies outside, so that no corner gives the angle away.
        return jax.vmap(lambda image, angle: rotate(image, angle, black))(images, angles)

    def augment(images, keys, source):
        angles = source["largest_angle"] * jax.vmap(jax.random.uniform)(keys)
        return rotate_all(task.place(images), angles)

    def augment_test(images, keys, source):
        del keys
        return rotate_all(task.place(images), jnp.full(len(images), source["angle"]))

    return dataclasses.replace(
        task,
        augment=augment,
        augment_test=augment_test,
        defaults={"largest_angle": 0.0, "angle": 0.0},
    )
