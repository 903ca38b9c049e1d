"""A labelled data set on a canvas, standardised: at any position, or rotated about its centre."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.datasets import load
from cnnjax.data.preprocess import Fill, Preprocess, preprocess
from cnnjax.run.config import InputError
from cnnjax.symmetry import rotate
from cnnjax.tasks.task import Task, pipeline


@pipeline
def on_canvas(
    data: str,
    data_dir: str | None = None,
    *,
    canvas: int | None = None,
    margin: int = 4,
    fill: Fill = "circular",
) -> Task:
    """A data set on a canvas, standardised; the source's `translation` moves it, see `preprocess`.

    Mean and standard deviation are those of 1,000 training images as the network sees them, the
    black around them included.

    Args:
      data: TFDS name.
      data_dir: directory of prepared data sets.
      canvas: height and width in pixels; by default the first multiple of 8 that is at least 24
        and `margin` more than the image. Images of less than 16 pixels are doubled in size.
      margin: see `canvas`.
      fill: 'circular' or 'zero', see `Preprocess`.

    Raises:
      InputError: the canvas is smaller than the image.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    dataset = load(data, data_dir)
    size = max(dataset.train.images.shape[1:3])
    upsample = 2 if size < 16 else 1
    side = canvas or max(24, -(-(upsample * size + margin) // 8) * 8)
    if side < upsample * size:
        raise InputError(
            f"canvas must be at least the {upsample * size} pixels of an image of {data}, got "
            f"{side}."
        )
    placement = Preprocess(canvas=side, upsample=upsample, fill=fill)
    jitted = jax.jit(preprocess, static_argnums=2)
    seen = np.asarray(jitted(dataset.train.images[:1000], None, placement))
    mean, std = float(seen.mean()), float(seen.std())
    placement = dataclasses.replace(placement, mean=(mean,), std=(std,))

    def augment(images, keys, source):
        return preprocess(images, keys, placement, source["translation"])

    def place(images):
        return jitted(images, None, placement)

    return Task(dataset, augment, augment, place, {"translation": 1})


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
