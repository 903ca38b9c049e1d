"""Validation examples: chosen among the training examples, class by class, always the same ones."""

import numpy as np

from cnnjax.run.config import InputError

LARGEST, SHARE = 5000, 6
"""By default a sixth of the training examples, at most 5,000, are for validation."""


def held_out(
    labels: np.ndarray, name: str, count: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the examples to train on, and of those to validate on, both in order.

    Ordered by class, `count` of the n examples at even distances are held out: of each class its
    share `count / n`, to within one example. Nothing random chooses them.

    Without a count they are n / 6, at most 5,000: 10,000 of rotated MNIST's 12,000 examples are
    left (as Larochelle et al., 2007, divided them), 55,000 of MNIST's and 45,000 of CIFAR-10's
    (as He et al., 2016).

    Args:
      labels: class of each training example, int `[n]`.
      name: what to call the data set in a sentence about it.
      count: number of examples to hold out.

    Raises:
      InputError: a class has one example only, or the count is below 1 or leaves a class none to
        train on.
    """
    examples = len(labels)
    sizes = np.bincount(labels)
    if (alone := np.flatnonzero(sizes == 1)).size:
        raise InputError(
            f"Every class of {name} must have at least 2 training images, one of them to validate "
            f"on, got 1 of class {alone[0]}."
        )
    wanted = max(1, min(LARGEST, examples // SHARE)) if count is None else count
    held = np.zeros(0, int)
    if 0 < wanted < examples:
        places = (2 * np.arange(wanted) + 1) * examples // (2 * wanted)
        held = np.sort(np.argsort(labels, kind="stable")[places])
    left = sizes - np.bincount(labels[held], minlength=len(sizes))
    if not held.size or (left[sizes > 0] == 0).any():
        raise InputError(
            f"Validation images of {name} must be at least 1 and leave every class one of the "
            f"{examples:,} training images, got {wanted:,}."
        )
    return np.delete(np.arange(examples), held), held
