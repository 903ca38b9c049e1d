"""Labelling every pixel: the data on their way into a network, and how good labels are."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.data.datasets import Dataset, Split, load
from cnnjax.data.textured_digits import textured_digits
from cnnjax.study.classification import Classification
from cnnjax.train.config import TrainConfig


def on_texture(
    train: TrainConfig, *, train_images: int, test_images: int, digits: Sequence[int] = range(10)
) -> Classification:
    """scikit-learn's digits on textured ground, a label for every pixel; test digits are others.

    Args:
      train: how to train.
      train_images, test_images: how many images to make.
      digits: which; the label of a pixel is 1 + the place of its digit among these.
    """
    stored = load("digits")
    train_split, test_split = (
        _textured(split, digits, count, seed)
        for split, count, seed in (
            (stored.train, train_images, 0),
            (stored.test, test_images, 1),
        )
    )
    dataset = Dataset(
        name="digits on textured ground",
        version=stored.version,
        train=train_split,
        test=test_split,
        num_classes=1 + len(digits),
        class_names=("ground", *(stored.class_names[digit] for digit in digits)),
        citation=stored.citation,
    )
    mean, deviation = float(train_split.images.mean()), float(train_split.images.std())

    def plain(images):
        return (jnp.asarray(images).astype(jnp.float32) - mean) / deviation

    def augment(images, keys, source):
        del keys, source
        return plain(images)

    return Classification(dataset, train, augment, augment, jax.jit(plain))


def _textured(split: Split, digits: Sequence[int], count: int, seed: int) -> Split:
    chosen = np.isin(split.labels, digits)
    place = {digit: number for number, digit in enumerate(digits)}
    classes = np.array([place[int(label)] for label in split.labels[chosen]])
    return Split(*textured_digits(split.images[chosen], classes, count, seed=seed))


def intersection_over_union(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """For each class, pixels that are both predicted and true over pixels that are either.

        |P and T| / |P or T|,    over all images together

    Source: Everingham et al., The Pascal visual object classes challenge, 2010, section 4.3.

    Args:
      predicted, labels: integers of one shape.
      classes: number of classes.

    Returns:
      `[classes]`; NaN for a class that is neither predicted nor true anywhere.

    Raises:
      ValueError: shapes that differ.
    """
    if predicted.shape != labels.shape:
        raise ValueError(
            f"predicted and labels must have one shape, got {predicted.shape} and {labels.shape}."
        )
    counts = np.bincount(
        classes * np.ravel(labels) + np.ravel(predicted), minlength=classes**2
    ).reshape(classes, classes)
    both = counts.diagonal()
    either = counts.sum(0) + counts.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)
