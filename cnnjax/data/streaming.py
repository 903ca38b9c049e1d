"""Data sets that stay on disk: examples are read and decoded by their index, on demand."""

import concurrent.futures
import dataclasses
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax.data import records
from cnnjax.data.datasets import Dataset, prepare
from cnnjax.data.records import PILLOW_MODES


@dataclasses.dataclass(frozen=True, eq=False)
class Stream:
    """A split on disk. Images are resized to cover a square and cropped to it."""

    source: Any
    """Random-access source of raw records, of TFDS."""
    size: int
    """Side of the squares in pixels."""
    channels: int
    """Number of channels of the images."""
    pool: concurrent.futures.ThreadPoolExecutor
    """Threads that decode."""

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.source)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 `[n, size, size, channels]` and labels int32 `[n]` of these examples."""
        raw = self.source.__getitems__([int(index) for index in indices])
        decoded = list(self.pool.map(self._decode, raw))
        images, labels = zip(*decoded, strict=True)
        if min(labels) < 0:
            raise ValueError(
                f"The labels of {self.source} must be at least 0, got {min(labels)}: examples "
                "without a class."
            )
        return np.stack(images), np.array(labels, np.int32)

    def _decode(self, record: bytes) -> tuple[np.ndarray, int]:
        from PIL import Image, ImageOps
        from tensorflow_datasets.proto import tf_example_pb2

        parse = tf_example_pb2.Example.FromString  # ty: ignore[missing-attribute]
        feature = parse(record).features.feature
        mode = PILLOW_MODES[self.channels]
        image = Image.open(io.BytesIO(feature["image"].bytes_list.value[0]))
        image = image if image.mode == mode else image.convert(mode)
        fitted = ImageOps.fit(image, (self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.asarray(fitted).reshape(self.size, self.size, self.channels)
        return pixels, feature["label"].int64_list.value[0]


def stream(name: str, size: int, data_dir: str | os.PathLike | None = None) -> Dataset:
    """Data set whose splits are streams, for data that do not fit into memory, such as ImageNet.

    Any data set prepared by TFDS as array_record with encoded images, of one size or of many, and
    an integer label.

    Args:
      name: as for `cnnjax.data.datasets.load`, for example 'imagenet2012'.
      size: side in pixels of the squares that images are resized to.
      data_dir: as for `load`.

    Raises:
      DatasetNotFoundError: the data set is missing and cannot be prepared.
      ValueError: its images are not encoded, or it has no labels or no test split.
    """
    import tensorflow_datasets as tfds

    if size < 1:
        raise ValueError(f"`size` must be at least 1, got {size!r}.")
    path = prepare(name, data_dir)
    described = records.info(path)
    features, splits = dict(described.features.items()), described.splits
    image, label = features.get("image"), features.get("label")
    if not isinstance(image, tfds.features.Image) or image.shape[-1] not in PILLOW_MODES:
        raise ValueError(
            f"'image' of {path} must be encoded images to be streamed, got {image}: leave out "
            "--stream."
        )
    if not isinstance(label, tfds.features.ClassLabel):
        raise ValueError(f"'label' of {path} must be a class label, got {label}.")
    test = records.test_split(path)
    if "train" not in splits or test is None:
        raise ValueError(
            f"Data set {name!r} in {path} must have the splits 'train' and 'test' (or "
            f"'validation'), got {sorted(splits)}."
        )
    threads = concurrent.futures.ThreadPoolExecutor(min(32, os.cpu_count() or 1))
    # Has the methods of a Split that are used.
    opened: list[Any] = [
        _opened(path, split, size, image.shape[-1], threads) for split in ("train", test)
    ]
    return Dataset(
        name=described.full_name.rsplit("/", 1)[0],
        version=str(described.version),
        train=opened[0],
        test=opened[1],
        num_classes=label.num_classes,
        class_names=tuple(label.names),
        citation=described.citation,
    )


def _opened(
    path: Path, split: str, size: int, channels: int, pool: concurrent.futures.ThreadPoolExecutor
) -> Stream:
    import tensorflow_datasets as tfds

    with records.quiet():
        builder: Any = tfds.builder_from_directory(path)
        source = builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
    return Stream(source, size, channels, pool)
