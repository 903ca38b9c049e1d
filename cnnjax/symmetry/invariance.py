"""Invariance of the predicted class: predictions at all circular shifts, and measures of them.

`classes_over_shifts` evaluates a classifier at every shift; everything else takes the predicted
classes, NumPy integers whose last axis is the images, and returns float64.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.transformations import shift


def classes_over_shifts(
    classify: Callable[..., jax.Array],
    images: jax.typing.ArrayLike,
    shifts: int | Sequence[int],
    *arguments: Any,
) -> np.ndarray:
    """Predicted classes of all images at every circular shift, from 0 to `shifts - 1` on each axis.

        classes[m, i] = argmax over c of classify(S_m images)[i, c]

    For a network that is exactly invariant to shifts by s (its strides multiplied, with circular
    padding), `shifts = s` covers all there are.
    Returns integers `[*shifts, images]`; `[rows, columns, images]` for images.

    Args:
      classify: `classify(images, *arguments)` gives logits `[images, classes]`; traceable by jax,
        and compiled once as long as it is the same object.
      images: `[images, *space, channels]`.
      shifts: number of shifts on each spatial axis, in pixels from 0; an int for all axes.
      *arguments: passed to classify after the images, such as its parameters.

    Raises:
      ValueError: shifts below 1, or not one for each spatial axis.
    """
    images = jnp.asarray(images)
    axes = images.ndim - 2
    sizes = (shifts,) * axes if isinstance(shifts, int) else tuple(shifts)
    if len(sizes) != axes or min(sizes, default=0) < 1:
        raise ValueError(
            f"`shifts` must be at least 1 on each of {axes} spatial axes, got {shifts!r}."
        )
    found = [
        np.asarray(_classes_at(classify, images, np.array(each, np.int32), *arguments))
        for each in np.ndindex(*sizes)
    ]
    return np.stack(found).reshape(*sizes, len(images))


@functools.partial(jax.jit, static_argnums=0)
def _classes_at(classify, images, each, *arguments):
    return classify(shift(images, each), *arguments).argmax(-1)


def shift_consistency(classes: np.ndarray) -> float:
    """Probability that two random shifts of an image are given the same class, mean over images.

        mean over images i of  sum over classes c of (share of shifts m with classes[m, i] = c)^2

    The two shifts are independent and uniform over the grid: this is the mean over all ordered
    pairs, a shift with itself included, computed without sampling. 1: one class at every shift;
    1 / classes at least. Takes classes `[*shifts, images]`, from `classes_over_shifts`.
    Source: Zhang, Making convolutional networks shift-invariant again, 2019, section 4.1; Chaman &
    Dokmanic, Truly shift-invariant convolutional neural networks, 2021 (both sample pairs of
    shifts).

    Raises:
      ValueError: fewer than two axes, or an empty one.
    """
    classes = _checked(classes)
    axes = tuple(range(classes.ndim - 1))
    shares = np.stack([(classes == label).mean(axes) for label in np.unique(classes)])
    return (shares**2).sum(0).mean()


def one_pixel_flip_rate(classes: np.ndarray) -> float:
    """Probability that a shift by one pixel along an axis changes the predicted class.

        mean over axes a, shifts m and images i of [classes[m + e_a, i] != classes[m, i]]

    with m + e_a modulo the size of the grid, over all base shifts m and every axis. The grid has to
    be one period of the classifier: the shift that follows the last one counts as the first. Takes
    classes `[*shifts, images]`, from `classes_over_shifts`.
    Source: Azulay & Weiss, Why do deep convolutional networks generalize so poorly to small image
    transformations?, 2019, section 2 (there from one base shift, along one axis).

    Raises:
      ValueError: fewer than two axes, or an empty one.
    """
    classes = _checked(classes)
    axes = range(classes.ndim - 1)
    return np.mean([np.roll(classes, -1, axis) != classes for axis in axes])


def worst_case_accuracy(classes: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy when an adversary chooses the shift: share of the images correct at every shift.

        mean over images i of  min over shifts m of [classes[m, i] = labels[i]]

    Source: Engstrom, Tran, Tsipras, Schmidt, Madry, Exploring the landscape of spatial robustness,
    2019, section 3.

    Args:
      classes: `[*shifts, images]`, from `classes_over_shifts`, or at other transformations.
      labels: `[images]`.

    Raises:
      ValueError: fewer than two axes, an empty one, or another number of labels.
    """
    correct = _correct(classes, labels)
    return correct.all(tuple(range(correct.ndim - 1))).mean()


def accuracy_curve(classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Accuracy at each amount of a transformation.

        curve[t] = mean over images i of [classes[t, i] = labels[i]]

    Returns `[*amounts]`.

    Args:
      classes: `[*amounts, images]`, the predicted classes at each amount (angle, distance, factor);
        of `classes_over_shifts`, the accuracy at each shift.
      labels: `[images]`.

    Raises:
      ValueError: fewer than two axes, an empty one, or another number of labels.
    """
    return _correct(classes, labels).mean(-1)


def _checked(classes: np.ndarray) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.ndim < 2 or math.prod(classes.shape) == 0:
        raise ValueError(
            f"`classes` must be [*transformations, images], none empty, got shape {classes.shape}."
        )
    return classes


def _correct(classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes, labels = _checked(classes), np.asarray(labels)
    if labels.shape != classes.shape[-1:]:
        raise ValueError(
            f"`labels` must be one for each of {classes.shape[-1]} images, got shape "
            f"{labels.shape}."
        )
    return classes == labels
