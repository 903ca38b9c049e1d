"""Training on a data set that stays on disk."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnjax.data.batches import batch_indices, evaluation_batches
from cnnjax.tasks.task import SplitName, Task
from cnnjax.train.on_device import augment_batch
from cnnjax.train.parallel import Prepare


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedTask(Task):
    """A `Task` whose batches bring their images with them, read while the step before
    runs."""

    reader: concurrent.futures.ThreadPoolExecutor = dataclasses.field(
        default_factory=lambda: concurrent.futures.ThreadPoolExecutor(1)
    )
    """The thread that reads ahead."""
    ahead: dict[tuple[int, int], concurrent.futures.Future] = dataclasses.field(
        default_factory=dict
    )
    """What it reads, by seed and step."""

    def source(self, split: SplitName, **values: Any) -> dict[str, Any]:
        """Only the values: images come with the batches."""
        self.split(split)
        return {**self.defaults, **values}

    def train_batch(self, seed: int, step: int, batch_size: int) -> dict[str, np.ndarray]:
        """Images and labels of a training step, and their places in the batch."""
        read = self.ahead.pop((seed, step), None) or self._read_ahead(seed, step, batch_size)
        batch = read.result()
        self.ahead.clear()
        self.ahead[seed, step + 1] = self._read_ahead(seed, step + 1, batch_size)
        return batch

    def batches(
        self, split: SplitName, batch_size: int, repeats: int = 1
    ) -> Iterator[dict[str, np.ndarray]]:
        """All examples of a split `repeats` times, with their images."""
        examples = self.split(split)
        for position, weight in evaluation_batches(repeats * len(examples), batch_size):
            images, labels = examples.read(position % len(examples))
            yield {"image": images, "label": labels, "position": position, "weight": weight}

    def prepare(self) -> tuple[Prepare, Prepare]:
        """What makes batches inside the compiled steps of the images that they bring."""
        return augment_batch(self.augment), augment_batch(self.augment_test, deterministic=True)

    def _read_ahead(self, seed: int, step: int, size: int) -> concurrent.futures.Future:
        return self.reader.submit(self._read, seed, step, size)

    def _read(self, seed: int, step: int, size: int) -> dict[str, np.ndarray]:
        images, labels = self.train.read(batch_indices(seed, step, size, len(self.train)))
        return {"image": images, "label": labels, "position": np.arange(size, dtype=np.int32)}
