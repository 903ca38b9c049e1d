"""Order of the examples: pure functions on the host, in NumPy."""

import functools
from collections.abc import Iterator

import numpy as np

from cnnjax.run.config import InputError


def batch_indices(seed: int, step: int, batch_size: int, num_examples: int) -> np.ndarray:
    """Indices of the examples of one training step, a pure function of its arguments.

    Every epoch is its own permutation, keyed by (seed, epoch); batches continue across its end, so
    that each epoch uses every example exactly once, and none is dropped or padded. The permutation
    sorts raw 64-bit numbers of Philox (Salmon et al., 2011), a counter-based generator whose
    stream NumPy guarantees to keep, so that a resumed run is the same with another version. Returns
    int32 `[batch_size]`.

    Args:
      seed: 0 .. 2**64 - 1.
      step: counted from 0.
      batch_size: number of examples of a step, over all devices.
      num_examples: size of the data set.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"`seed` must be 0 to 2**64 - 1, got {seed}.")
    if step < 0:
        raise ValueError(f"`step` must be at least 0, got {step}.")
    _check_sizes(num_examples, batch_size)
    position, stop = step * batch_size, (step + 1) * batch_size
    parts = []
    while position < stop:
        epoch, start = divmod(position, num_examples)
        part = _permutation(seed, epoch, num_examples)[start : start + stop - position]
        parts.append(part)
        position += len(part)
    return np.concatenate(parts)


def evaluation_batches(
    num_examples: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of one size that cover every example once.

    Yields indices int32 `[batch_size]`, and weights float32 `[batch_size]`: 1, or 0 where the last
    batch is padded with example 0.
    """
    _check_sizes(num_examples, batch_size)
    padded = np.arange(-(-num_examples // batch_size) * batch_size, dtype=np.int32)
    real = padded < num_examples
    rows = np.where(real, padded, 0), real.astype(np.float32)
    return zip(*(row.reshape(-1, batch_size) for row in rows), strict=True)


# The end of one epoch and the beginning of the next, for a few seeds.
@functools.lru_cache(maxsize=16)
def _permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    numbers = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(num_examples)
    permutation = np.argsort(numbers, kind="stable").astype(np.int32)
    permutation.flags.writeable = False
    return permutation


def _check_sizes(num_examples: int, batch_size: int) -> None:
    for name, value in (("num_examples", num_examples), ("batch_size", batch_size)):
        if not 1 <= value < 2**31:
            raise ValueError(f"`{name}` must be 1 to 2**31 - 1, got {value}.")


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
