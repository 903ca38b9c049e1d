"""Reading of prepared data sets, without TensorFlow."""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import tensorflow_datasets as tfds
    from PIL import Image
    from tensorflow_datasets import proto
    from tensorflow_datasets.core.utils import tqdm_utils

PILLOW_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of 1, 3 and 4 channels


def info(path: Path):
    """Description (`tfds.core.DatasetInfo`) of the data set prepared in the folder."""
    with quiet():
        return tfds.builder_from_directory(path).info


def read(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of a split of one prepared version, in the order of the records.

    Returns images uint8 `[n, height, width, channels]` and labels int32 `[n]`.

    Raises:
      ValueError: the data set has no `image` of fixed shape and type uint8, or no integer `label`.
    """
    features = info(path).features
    _check(path, features)
    if not isinstance(features["image"], tfds.features.Image):
        with quiet():
            builder: Any = tfds.builder_from_directory(path)
            examples = builder.as_data_source(split)
        images = np.stack([example["image"] for example in examples])
        return images, np.array([example["label"] for example in examples], np.int32)
    # Parsed directly, in half the time of the general decoder of TFDS.
    source, shape = raw_examples(path, split), tuple(features["image"].shape)
    images = np.empty((len(source), *shape), np.uint8)
    labels = np.empty(len(source), np.int32)
    for index, record in enumerate(source.__getitems__(range(len(source)))):
        image, labels[index] = decode(record, shape[-1])
        images[index] = np.asarray(image).reshape(shape)
    return images, labels


def raw_examples(path: Path, split: str) -> Any:
    """Random-access source of the records of a split, for `decode`."""
    with quiet():
        builder: Any = tfds.builder_from_directory(path)
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        return builder.as_data_source(split, deserialize_method=raw)


def decode(record: bytes, channels: int) -> tuple[Any, int]:
    """Image (of Pillow, in the mode of that many channels) and label of an encoded example."""
    feature, mode = _features(record), PILLOW_MODES[channels]
    image = Image.open(io.BytesIO(feature["image"].bytes_list.value[0]))
    image = image if image.mode == mode else image.convert(mode)
    return image, feature["label"].int64_list.value[0]


def test_split(path: Path) -> str | None:
    """Split to test on: 'test', or 'validation' where there is none or its labels are not public.

    For example, the test images of ImageNet all have the label -1.
    """
    splits = info(path).splits
    found = [split for split in ("test", "validation") if split in splits]
    if len(found) < 2:
        return found[0] if found else None
    (label,) = _features(raw_examples(path, "test")[0])["label"].int64_list.value
    return "validation" if label < 0 else "test"


def _features(record: bytes) -> Any:
    parse = proto.tf_example_pb2.Example.FromString  # ty: ignore[missing-attribute]
    return parse(record).features.feature


def _check(path: Path, features) -> None:
    """Raise ValueError unless the features are an image of fixed shape and a label."""
    if not {"image", "label"} <= set(features):
        raise ValueError(
            f"The data set in {path} must have the features 'image' and 'label', got "
            f"{sorted(features)}."
        )
    image, label = features["image"], features["label"]
    shape = tuple(image.shape)
    if len(shape) != 3 or None in shape or np.dtype(image.np_dtype) != np.uint8:
        raise ValueError(
            f"The images of {path} must be uint8 of one fixed shape (height, width, channels), got "
            f"{np.dtype(image.np_dtype).name} of shape {shape}."
        )
    if tuple(label.shape) != () or not np.issubdtype(label.np_dtype, np.integer):
        raise ValueError(
            f"The labels of {path} must be one integer each, got {np.dtype(label.np_dtype).name} "
            f"of shape {tuple(label.shape)}."
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
