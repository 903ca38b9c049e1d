"""A labelled data set on a canvas of which only the images of some classes are moved."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.preprocess import shift
from cnnjax.symmetry import rotate
from cnnjax.tasks.canvas import on_canvas
from cnnjax.tasks.task import Task, pipeline


@pipeline
def moved_by_class(data: str, data_dir: str | None = None, *, margin: int = 8) -> Task:
    """A data set on a black canvas, translated and rotated by class, as its source says.

    Pixels are in units of their standard deviation, and black is 0, so that a filter says nothing
    where nothing is.

    Every image of a class c with `moved[c]` is rotated about the centre of the canvas by an angle
    drawn uniformly from -angle to angle (radians, bilinear), then translated on each axis by a
    whole number of pixels drawn uniformly from -translation to translation; all others stay. What
    leaves the canvas enters on the other side: translations by more than `margin` wrap an image
    around. All three may differ from call to call without compiling again; by default nothing
    moves. In evaluation images are moved in the same way.

    Args:
      data: TFDS name.
      data_dir: directory of prepared data sets.
      margin: least number of pixels between an unmoved image and the edges of the canvas, whose
        side is a multiple of 8. Images of less than 16 pixels are doubled in size.

    Raises:
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    task = on_canvas(data, data_dir, margin=2 * margin, fill="zero")
    nothing = np.zeros_like(task.train.read(np.arange(1))[0])
    black = float(task.place(nothing).min())

    def place(images):
        return task.place(images) - black

    def augment(images, keys, source):
        angle_keys, shift_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        largest, farthest = source["angle"], source["translation"]
        angles = jax.vmap(lambda key: jax.random.uniform(key, (), minval=-1, maxval=1))(angle_keys)
        shifts = jax.vmap(lambda key: jax.random.randint(key, (2,), -farthest, farthest + 1))(
            shift_keys
        )
        moves = source["moved"][source["label"]]
        angles = jnp.where(moves, largest * angles, 0)
        shifts = jnp.where(moves[:, None], shifts, 0)
        rotated = jax.vmap(lambda x, angle: rotate(x, angle))(place(images), angles)
        return shift(rotated, shifts, "circular")

    return dataclasses.replace(
        task,
        augment=augment,
        augment_test=augment,
        place=place,
        defaults={"translation": 0, "angle": 0.0, "moved": np.ones(task.classes, bool)},
    )
