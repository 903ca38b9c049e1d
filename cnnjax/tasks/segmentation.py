"""Labelling every pixel: the data on their way into a network, and how good labels are."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.datasets import Dataset, Split, load
from cnnjax.data.textured_digits import textured_digits as draw
from cnnjax.tasks.task import Task, pipeline


@pipeline
def textured_digits(
    *, train_images: int, test_images: int, digits: Sequence[int] = tuple(range(10))
) -> Task:
    """Digits on textured background, a label for every pixel; each split is made of other digits.

    Args:
      train_images, test_images: how many images to make; validation images as many as test images.
      digits: which; the label of a pixel is 0 for the background, 1 + the index of its digit here.
    """
    stored = load("digits")
    train_split = _textured(stored.train, digits, train_images, 0)
    test_split = _textured(stored.test, digits, test_images, 1)
    validation_split = _textured(stored.validation, digits, test_images, 2)
    dataset = Dataset(
        name="digits on textured background",
        version=stored.version,
        train=train_split,
        validation=validation_split,
        test=test_split,
        num_classes=1 + len(digits),
        class_names=("background", *(stored.class_names[digit] for digit in digits)),
        citation=stored.citation,
    )
    mean, std = float(train_split.images.mean()), float(train_split.images.std())

    def plain(images):
        return (jnp.asarray(images).astype(jnp.float32) - mean) / std

    def augment(images, keys, source):
        del keys, source
        return plain(images)

    return Task(dataset, augment, augment, jax.jit(plain))


def _textured(split: Split, digits: Sequence[int], count: int, seed: int) -> Split:
    chosen = np.isin(split.labels, digits)
    place = {digit: number for number, digit in enumerate(digits)}
    classes = np.array([place[int(label)] for label in split.labels[chosen]])
    return Split(*draw(split.images[chosen], classes, count, seed=seed))
