"""A data set that a study makes itself, as images of float values."""

from typing import Any

import jax
import jax.numpy as jnp

from cnnjax.data.datasets import Dataset
from cnnjax.tasks.task import Task


def standardised(dataset: Dataset, *, mean: float = 0.0, std: float = 1.0) -> Task:
    """A data set whose values, between 0 and 1, are `(value - mean) / std`; never augmented.

    Args:
      dataset: uint8 images and their classes.
      mean, std: of all channels; by default values stay between 0 and 1.

    Raises:
      ValueError: a std that is not above 0.
    """
    if not std > 0:
        raise ValueError(f"`std` must be above 0, got {std!r}.")

    def place(images: Any, keys: Any = None, source: Any = None) -> jax.Array:
        del keys, source
        return (jnp.asarray(images).astype(jnp.float32) / 255 - mean) / std

    return Task(dataset, place, place, jax.jit(place))
