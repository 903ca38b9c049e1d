"""Data sets that stay on disk: examples are read and decoded by their index, on demand."""

import concurrent.futures
import dataclasses
import os

import numpy as np

from cnnjax.data import records
from cnnjax.data.datasets import Dataset, assembled, checked_labels, prepare
from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import tensorflow_datasets as tfds
    from PIL import Image, ImageOps


LABELS_READ = 100_000
"""Training examples up to which validation examples are chosen class by class; of more, whose
records would all have to be read, at even distances in their order."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """A split on disk. Images are resized to cover a square and cropped to it."""

    source: records.Records
    """Raw records of the split."""
    size: int
    """Side of the squares in pixels."""
    channels: int
    """Number of channels of the images."""
    classes: int
    """Number of classes."""
    pool: concurrent.futures.ThreadPoolExecutor
    """Threads that decode."""
    indices: np.ndarray | None = None
    """Records that are its examples; None: all."""

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.source if self.indices is None else self.indices)

    def part(self, indices: np.ndarray) -> "Stream":
        """These examples alone."""
        return dataclasses.replace(self, indices=self._records(indices))

    def labels(self) -> np.ndarray:
        """Class of each example, int32 `[n]`, read without decoding images.

        Raises:
          InputError: one is no class.
        """
        raw = self.source.read(self._records(np.arange(len(self))).tolist())
        return checked_labels(list(map(records.label_of, raw)), self.source.path, self.classes)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 `[n, size, size, channels]` and labels int32 `[n]` of these examples."""
        raw = self.source.read(self._records(indices).tolist())
        images, labels = zip(*self.pool.map(self._decode, raw), strict=True)
        return np.stack(images), checked_labels(labels, self.source.path, self.classes)

    def _records(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(indices) if self.indices is None else self.indices[indices]

    def _decode(self, record: bytes) -> tuple[np.ndarray, int]:
        image, label = records.decode(record, self.channels)
        fitted = ImageOps.fit(image, (self.size, self.size), Image.Resampling.BILINEAR)
        return np.asarray(fitted).reshape(self.size, self.size, self.channels), label


def stream(
    name: str,
    size: int,
    data_dir: str | os.PathLike | None = None,
    *,
    validation_images: int | None = None,
) -> Dataset:
    """Data set whose splits are streams, for data that do not fit into memory, such as ImageNet.

    Any data set prepared by TFDS as array_record with encoded images, of one size or of many, and
    an integer label.

    Args:
      name: as for `cnnjax.data.datasets.load`, for example 'imagenet2012'.
      size: side in pixels of the squares that images are resized to.
      data_dir, validation_images: as for `load`, but see `LABELS_READ`.

    Raises:
      DatasetNotFoundError: the data set is missing and cannot be prepared.
      InputError: its images are not encoded, or it has no labels or no test split.
    """
    if size < 1:
        raise InputError(f"`size` must be at least 1, got {size!r}.")
    path = prepare(name, data_dir)
    features = dict(records.info(path).features.items())
    image, label = features.get("image"), features.get("label")
    if not isinstance(image, tfds.features.Image) or image.shape[-1] not in records.PILLOW_MODES:
        raise InputError(
            f"'image' of {path} must be encoded images to be streamed, got {image}: leave out "
            "--stream."
        )
    if not isinstance(label, tfds.features.ClassLabel):
        raise InputError(f"'label' of {path} must be a class label, got {label}.")
    pool = concurrent.futures.ThreadPoolExecutor(min(32, os.cpu_count() or 1))

    def split(which: str) -> Stream:
        return Stream(records.Records(path, which), size, image.shape[-1], label.num_classes, pool)

    def labels(train: Stream) -> np.ndarray:
        return train.labels() if len(train) <= LABELS_READ else np.zeros(len(train), np.int32)

    return assembled(path, name, split, labels, validation_images)
