"""Reading of prepared data sets into memory, without TensorFlow."""

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np

PILLOW_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of 1, 3 and 4 channels


def info(path: Path):
    """Description (`tfds.core.DatasetInfo`) of the data set prepared in the folder."""
    import tensorflow_datasets as tfds

    with quiet():
        return tfds.builder_from_directory(path).info


def read(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of a split, in the order of the records.

    Args:
      path: folder of one prepared version.
      split: for example 'train'.

    Returns:
      Images uint8 `[n, height, width, channels]` and labels int32 `[n]`.

    Raises:
      ValueError: the data set has no `image` of fixed shape and type uint8, or no integer `label`.
    """
    import tensorflow_datasets as tfds

    with quiet():
        builder: Any = tfds.builder_from_directory(path)
        features = builder.info.features
        check(path, features)
        if isinstance(features["image"], tfds.features.Image):
            return _read_encoded(builder, split)
        examples = builder.as_data_source(split)
        images = np.stack([example["image"] for example in examples])
        labels = np.array([example["label"] for example in examples], np.int32)
        return images, labels


def test_split(path: Path) -> str | None:
    """Split to test on: 'test', or 'validation' where there is none or its labels are not public.

    For example, the test images of ImageNet all have the label -1.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

    splits = info(path).splits
    found = [split for split in ("test", "validation") if split in splits]
    if len(found) < 2:
        return found[0] if found else None
    with quiet():
        builder: Any = tfds.builder_from_directory(path)
        source = builder.as_data_source(
            "test", deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
    parse = tf_example_pb2.Example.FromString  # ty: ignore[missing-attribute]
    (label,) = parse(source[0]).features.feature["label"].int64_list.value
    return "validation" if label < 0 else "test"


def check(path: Path, features) -> None:
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


def _read_encoded(builder, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Parse the stored examples directly, in half the time of the general decoder of TFDS."""
    import tensorflow_datasets as tfds
    from PIL import Image
    from tensorflow_datasets.proto import tf_example_pb2

    source = builder.as_data_source(
        split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )
    shape = tuple(builder.info.features["image"].shape)
    mode = PILLOW_MODES[shape[-1]]
    images = np.empty((len(source), *shape), np.uint8)
    labels = np.empty(len(source), np.int32)
    parse = tf_example_pb2.Example.FromString  # ty: ignore[missing-attribute]
    for index, record in enumerate(source.__getitems__(range(len(source)))):
        feature = parse(record).features.feature
        image = Image.open(io.BytesIO(feature["image"].bytes_list.value[0]))
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
        images[index] = pixels.reshape(shape)
        labels[index] = feature["label"].int64_list.value[0]
    return images, labels


@contextlib.contextmanager
def quiet():
    """Silence TFDS: no progress bars, no output, no log messages below errors."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.utils import tqdm_utils

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
