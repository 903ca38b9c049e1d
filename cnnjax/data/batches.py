"""Order of the examples: pure functions on the host, in NumPy."""

import functools
from collections.abc import Iterator

import numpy as np


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
