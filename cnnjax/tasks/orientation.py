"""Images whose class is how they are rotated or where they lie, or does not depend on it.

Test and validation images come in copies, one after the other: all images as they are, then all in
the next pose. A network that does not distinguish the poses gives each image the same class in all
of them, so that its accuracy has an exact limit.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from cnnjax.data.datasets import Split
from cnnjax.run.config import InputError
from cnnjax.tasks.images import resized
from cnnjax.tasks.task import Task, pipeline

QUADRANTS = ("top left", "top right", "bottom left", "bottom right")


@pipeline
def upright_or_rotated(
    data: str, data_dir: str | None = None, *, digit: int = 6, size: int | None = None
) -> Task:
    """Images of one class, as they are (class 0) and rotated by 180 degrees (class 1).

    Each image is there in both poses in every split, so that a network whose logits do not change
    when the image is rotated by 180 degrees has an accuracy of exactly one half.

    Args:
      data: TFDS name.
      data_dir: directory of prepared data sets.
      digit: the class.
      size: height and width in pixels that images are resized to; None: as they are.

    Raises:
      InputError: there is no such class.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    task = resized(data, data_dir, size=size)
    if not 0 <= digit < task.classes:
        raise InputError(
            f"digit must be one of the {task.classes} classes of {data}, from 0, got {digit}."
        )

    def both(split: Split) -> Split:
        images = split.images[split.labels == digit]
        rotated = np.rot90(images, 2, (1, 2))
        return Split(
            np.concatenate([images, rotated]), np.repeat(np.arange(2, dtype=np.int32), len(images))
        )

    name = task.dataset.class_names[digit]
    classes = (name, f"{name} rotated by 180 degrees")
    return _relabelled(task, "upright or rotated", classes, both, both)


@pipeline
def at_right_angles(
    data: str, data_dir: str | None = None, *, size: int | None = None, seed: int = 0
) -> Task:
    """Images rotated by multiples of 90 degrees, classes as they are.

    Each training image at one angle, drawn by the seed; validation and test images at all four.

    Args:
      data: TFDS name, of square images.
      data_dir, size: as of `upright_or_rotated`.
      seed: of the angles of training images.

    Raises:
      InputError: images that are not square.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    task = resized(data, data_dir, size=size)
    _, height, width, _ = task.dataset.train.images.shape
    if height != width:
        raise InputError(f"data must be of square images, got {data}, {height} x {width}.")

    def copies(split: Split) -> Split:
        images = [np.rot90(split.images, times, (1, 2)) for times in range(4)]
        return Split(np.concatenate(images), np.tile(split.labels, 4))

    def drawn(split: Split) -> Split:
        return _one_of(copies(split), len(split), seed)

    return _relabelled(task, "at right angles", task.dataset.class_names, drawn, copies)


@pipeline
def in_quadrants(data: str, data_dir: str | None = None, *, seed: int = 0) -> Task:
    """Images in a quadrant of a black canvas of twice their size; the class says which one, too.

    Class `4 c + q` is that of images of class c in quadrant q: top left, top right, bottom left,
    bottom right. Each training image in one quadrant, drawn by the seed; validation and test images
    in all four. A network whose logits do not change under circular shifts by half the canvas is
    right about the whole class exactly a quarter as often as about c.

    Args:
      data: TFDS name.
      data_dir: directory of prepared data sets.
      seed: of the quadrants of training images.

    Raises:
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    task = resized(data, data_dir)

    def copies(split: Split) -> Split:
        count, height, width, channels = split.images.shape
        images = np.zeros((4, count, 2 * height, 2 * width, channels), np.uint8)
        for quadrant, canvas in enumerate(images):
            top, left = height * (quadrant // 2), width * (quadrant % 2)
            canvas[:, top : top + height, left : left + width] = split.images
        labels = 4 * split.labels[None] + np.arange(4, dtype=np.int32)[:, None]
        return Split(images.reshape(-1, *images.shape[2:]), labels.ravel())

    def drawn(split: Split) -> Split:
        return _one_of(copies(split), len(split), seed)

    names = tuple(f"{name}, {where}" for name in task.dataset.class_names for where in QUADRANTS)
    return _relabelled(task, "in quadrants", names, drawn, copies)


def _one_of(copies: Split, count: int, seed: int) -> Split:
    """One copy of each of `count` images, drawn by the seed."""
    poses = np.random.default_rng(seed).integers(len(copies) // count, size=count)
    return copies.part(poses * count + np.arange(count))


def _relabelled(
    task: Task,
    suffix: str,
    names: Sequence[str],
    train: Callable[[Split], Split],
    evaluated: Callable[[Split], Split],
) -> Task:
    """The task on images and classes made of its own, `evaluated` of those not trained on."""
    dataset = dataclasses.replace(
        task.dataset,
        name=f"{task.dataset.name}, {suffix}",
        num_classes=len(names),
        class_names=tuple(names),
        train=train(task.dataset.train),
        validation=evaluated(task.dataset.validation),
        test=evaluated(task.dataset.test),
    )
    return dataclasses.replace(task, dataset=dataset)
