"""Records of a prepared data set, read by index without TensorFlow; a damaged file is named."""

import contextlib
import io
import itertools
import logging
from bisect import bisect_right
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import tensorflow_datasets as tfds
    from array_record.python import array_record_data_source
    from PIL import Image
    from tensorflow_datasets import proto
    from tensorflow_datasets.core.utils import tqdm_utils

PILLOW_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of 1, 3 and 4 channels


class Records:
    """Raw records of a split, read by index, for `decode`.

    Args:
      path: folder of the prepared version.
      split: name of the split.

    Raises:
      InputError: a file is missing, cannot be read, or does not hold as many records as
        dataset_info.json says; reading raises it, too.
    """

    def __init__(self, path: Path, split: str) -> None:
        self.path = path
        described = info(path).splits[split]
        self._files = [Path(file) for file in described.filepaths]
        self._ends = list(itertools.accumulate(described.shard_lengths))
        for file, count in zip(self._files, described.shard_lengths, strict=True):
            self._require_records(file, count)
        with quiet():
            builder: Any = tfds.builder_from_directory(path)
            raw = tfds.decode.DeserializeMethod.RAW_BYTES
            self._source: Any = builder.as_data_source(split, deserialize_method=raw)

    def __len__(self) -> int:
        """Number of records."""
        return self._ends[-1] if self._ends else 0

    def read(self, indices: Sequence[int]) -> Sequence[bytes]:
        """Records of these indices."""
        try:
            return self._source.__getitems__(indices)
        except RuntimeError:  # of array_record, which does not name the file
            for index in indices:
                try:
                    self._source.__getitems__([index])
                except RuntimeError as error:
                    file = self._files[bisect_right(self._ends, index)]
                    raise damaged(file, f"record {index} of the split: {error}") from error
            raise

    def _require_records(self, file: Path, count: int) -> None:
        if not file.is_file():
            raise damaged(file, "it is missing")
        try:
            held = len(array_record_data_source.ArrayRecordDataSource(str(file)))
        except RuntimeError as error:
            raise damaged(file, str(error)) from error
        if held != count:
            raise damaged(file, f"{held} records, and {count} in dataset_info.json")


def damaged(file: Path, why: str) -> InputError:
    """Error that names a file of a prepared data set that cannot be used, and what to do."""
    return InputError(
        f"{file} is damaged ({why}): delete the folder {file.parent} and prepare the data set "
        "again, as with `python launch.py prepare`."
    )


def decode(record: bytes, channels: int) -> tuple[Any, int]:
    """Image (of Pillow, in the mode of that many channels) and label of an encoded example."""
    feature, mode = features_of(record), PILLOW_MODES[channels]
    image = Image.open(io.BytesIO(feature["image"].bytes_list.value[0]))
    image = image if image.mode == mode else image.convert(mode)
    return image, feature["label"].int64_list.value[0]


def label_of(record: bytes) -> int:
    """Label of an encoded example."""
    return features_of(record)["label"].int64_list.value[0]


def features_of(record: bytes) -> Any:
    """Features of an encoded example, by name."""
    parse = proto.tf_example_pb2.Example.FromString  # ty: ignore[missing-attribute]
    return parse(record).features.feature


def info(path: Path) -> Any:
    """Description (`tfds.core.DatasetInfo`) of the data set prepared in the folder.

    Raises:
      InputError: features.json or dataset_info.json is missing or damaged.
    """
    for name in ("dataset_info.json", "features.json"):
        if not (path / name).is_file():
            raise damaged(path / name, "it is missing")
    try:
        with quiet():
            return tfds.builder_from_directory(path).info
    except Exception as error:  # of json, protobuf or TFDS: whatever text stands in the files
        raise damaged(path / "features.json", f"or dataset_info.json beside it: {error}") from error


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Silence TFDS: no progress bars, no output, no log messages below errors."""
    logger = logging.getLogger("absl")
    level, bars = logger.level, tqdm_utils._active
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
        if bars:
            tfds.enable_progress_bar()
