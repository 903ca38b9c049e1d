"""Invariance of the predicted class: predictions at all circular shifts, and measures of them.

`classes_over_shifts` and `classes_over_crops` evaluate a classifier at every shift; everything else
takes the predicted classes, NumPy integers whose last axis is the images, and returns float64.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.equivariance import called, compiled_or_called, one_array
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
      classify: `classify(images, *arguments)` gives logits `[images, classes]`; any function, see
        `errors_over_shifts`, compiled once as long as it is the same object.
      images: `[images, *space, channels]`.
      shifts: number of shifts on each spatial axis, in pixels from 0; an int for all axes.
      *arguments: passed to classify after the images, such as its parameters.

    Raises:
      ValueError: shifts below 1, or not one for each spatial axis, or logits that are no array.
    """
    images = jnp.asarray(images)
    axes = images.ndim - 2
    sizes = (shifts,) * axes if isinstance(shifts, int) else tuple(shifts)
    if len(sizes) != axes or min(sizes, default=0) < 1:
        raise ValueError(
            f"`shifts` must be at least 1 on each of {axes} spatial axes, got {shifts!r}."
        )
    compute = compiled_or_called(classify, _classes_at, _classes_at_uncompiled)
    found = [
        np.asarray(compute(images, np.array(each, np.int32), *arguments))
        for each in np.ndindex(*sizes)
    ]
    return np.stack(found).reshape(*sizes, len(images))


@functools.partial(jax.jit, static_argnums=0)
def _classes_at(classify, images, each, *arguments):
    return one_array(classify(shift(images, each), *arguments)).argmax(-1)


def _classes_at_uncompiled(classify, images, each, *arguments):
    return one_array(called(classify, shift(images, each), *arguments)).argmax(-1)


def classes_over_crops(
    classify: Callable[..., jax.Array],
    images: jax.typing.ArrayLike,
    size: int | Sequence[int],
    *arguments: Any,
) -> np.ndarray:
    """Predicted classes of all windows of larger images: shifts as a moving camera makes them.

        classes[m, i] = argmax over c of classify(images[i, m : m + size])[c]

    Unlike under circular shifts, content leaves at one border and new content enters at the other.
    Returns integers `[*(space - size + 1), images]`.
    Source: Zhang, 2019, section 4.1 (crops); Azulay & Weiss, 2019, section 2.

    Args:
      classify: as of `classes_over_shifts`.
      images: `[images, *space, channels]`.
      size: sizes of the window on the spatial axes, an int for all.
      *arguments: passed to classify after the images.

    Raises:
      ValueError: a window that is not positive or larger than the images.
    """
    images = jnp.asarray(images)
    space = images.shape[1:-1]
    sizes = (size,) * len(space) if isinstance(size, int) else tuple(size)
    if len(sizes) != len(space) or not all(0 < a <= b for a, b in zip(sizes, space, strict=True)):
        raise ValueError(f"`size` must be between 1 and {space} on each axis, got {size!r}.")
    grid = [each - window + 1 for each, window in zip(space, sizes, strict=True)]
    compute = compiled_or_called(
        classify,
        functools.partial(_classes_in, sizes),
        functools.partial(_classes_in_uncompiled, sizes),
    )
    found = [
        np.asarray(compute(images, np.array(each, np.int32), *arguments))
        for each in np.ndindex(*grid)
    ]
    return np.stack(found).reshape(*grid, len(images))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _classes_in(sizes, classify, images, first, *arguments):
    window = _window(sizes, images, first)
    return one_array(classify(window, *arguments)).argmax(-1)


def _classes_in_uncompiled(sizes, classify, images, first, *arguments):
    window = _window(sizes, images, first)
    return one_array(called(classify, window, *arguments)).argmax(-1)


def _window(sizes, images, first):
    begin = jnp.concatenate([jnp.zeros(1, jnp.int32), first, jnp.zeros(1, jnp.int32)])
    return jax.lax.dynamic_slice(images, begin, (len(images), *sizes, images.shape[-1]))


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


def chance_corrected_consistency(classes: np.ndarray) -> float:
    """Consistency beyond what a classifier has by preferring some classes.

        kappa = (c - sum over k of p_k^2) / (1 - sum over k of p_k^2)

    with c the `shift_consistency` and p_k the share of all predictions that are class k, of which
    two unrelated predictions agree with probability sum p_k^2. 1: one class at every shift of an
    image; 1 / shifts on average for unrelated predictions, since a shift agrees with itself; 0, by
    definition, for a classifier that knows one class, whose consistency of 1 says nothing.
    Source: Cohen, A coefficient of agreement for nominal scales, 1960; Fleiss, Measuring nominal
    scale agreement among many raters, 1971.

    Raises:
      ValueError: fewer than two axes, or an empty one.
    """
    classes = _checked(classes)
    chance = ((np.unique(classes, return_counts=True)[1] / classes.size) ** 2).sum()
    return (shift_consistency(classes) - chance) / (1 - chance) if chance < 1 else np.float64(0)


def one_pixel_flip_rate(classes: np.ndarray, periodic: bool = True) -> float:
    """Probability that a shift by one pixel along an axis changes the predicted class.

        mean over axes a, shifts m and images i of [classes[m + e_a, i] != classes[m, i]]

    over all base shifts m and every axis. Takes classes `[*shifts, images]`.
    Source: Azulay & Weiss, Why do deep convolutional networks generalize so poorly to small image
    transformations?, 2019, section 2 (there from one base shift, along one axis).

    Args:
      classes: from `classes_over_shifts` or `classes_over_crops`.
      periodic: the grid is one period of the classifier, so that m + e_a is modulo its size: the
        shift that follows the last one is the first. False for crops: the last one has no next.

    Raises:
      ValueError: fewer than two axes, an empty one, or no two neighbours.
    """
    classes = _checked(classes)
    axes = range(classes.ndim - 1)
    if periodic:
        return np.mean([np.roll(classes, -1, axis) != classes for axis in axes])
    flips = [(np.diff(classes, axis=axis) != 0).ravel() for axis in axes]
    if not (flips := np.concatenate(flips)).size:
        raise ValueError(f"`classes` must have two neighbouring shifts, got shape {classes.shape}.")
    return flips.mean()


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
