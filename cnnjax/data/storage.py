"""Prepared data sets: their folders, as in TFDS, and their records, read without TensorFlow.

A folder is `<data_dir>/<name>[/<config>]/<version>`.
"""

import dataclasses
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cnnjax.data.records import Records, decode, info, label_of
from cnnjax.run.config import InputError, read_json
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import tensorflow_datasets as tfds

NAME = re.compile(r"(?P<name>\w+)(/(?P<config>[\w.+-]+))?(:(?P<version>\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclasses.dataclass(frozen=True)
class Name:
    """TFDS name of a data set, with optional config and version."""

    name: str
    config: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        config = f"/{self.config}" if self.config else ""
        return f"{self.name}{config}{f':{self.version}' if self.version else ''}"


def parse(text: str) -> Name:
    """Parse `name`, `name:1.2.3`, `name/config` or `name/config:1.2.3`."""
    match = NAME.fullmatch(text)
    if match is None:
        raise InputError(
            f"The name of a data set must be like 'mnist', 'mnist:3.0.1' or 'name/config', got "
            f"{text!r}."
        )
    return Name(**match.groupdict())


def folders(data_dir: str | os.PathLike | None = None) -> tuple[Path, ...]:
    """Folders to search, in this order; the last one is writable.

    The first is `data_dir`, else the environment's `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
    Where it is read-only, `~/tensorflow_datasets` follows, and where that is too, a temporary one.

    Raises:
      InputError: `data_dir` is a file.
    """
    home = Path("~/tensorflow_datasets").expanduser()
    wanted = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or home).expanduser().resolve()
    temporary = Path(tempfile.gettempdir()) / f"tensorflow_datasets-{os.getuid()}"
    if wanted.exists() and not wanted.is_dir():
        raise InputError(f"data_dir must be a folder, got the file {wanted}.")
    searched = []
    for folder in dict.fromkeys((wanted, home, temporary)):
        searched.append(folder)
        if _writable(folder):
            break
    return tuple(searched)


def _writable(folder: Path) -> bool:
    """Whether the folder, or the one it would be created in, is writable."""
    while not folder.exists():
        folder = folder.parent
    # A folder without any write bit is read-only by intention, for root too.
    any_write_bit = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & any_write_bit)


def find(name: Name, searched: Iterable[Path]) -> Path | None:
    """Folder of the newest version of a prepared data set, or None.

    Raises:
      InputError: it is prepared in a format that only TensorFlow reads, or in several configs and
        none was named.
    """
    for folder in searched:
        path = folder / name.name / (name.config or "")
        versions = [version for version in _versions(path) if name.version in (None, version.name)]
        if versions:
            _check_format(name, versions[-1])
            return versions[-1]
        configs = _configs(path)
        if configs and name.config is None:
            raise InputError(
                f"Data set {name.name!r} in {folder} has configs, name one of them: "
                + ", ".join(repr(f"{name.name}/{config}") for config in configs)
                + "."
            )
    return None


def prepared(searched: Iterable[Path]) -> list[str]:
    """Names of all prepared data sets, those with configs as `name/config`."""
    names = set()
    for folder in searched:
        for path in _subfolders(folder):
            if _versions(path):
                names.add(path.name)
            names.update(f"{path.name}/{config}" for config in _configs(path))
    return sorted(names)


def _versions(path: Path) -> list[Path]:
    """Prepared versions, oldest first."""
    found = [
        version
        for version in _subfolders(path)
        if VERSION.fullmatch(version.name) and (version / "dataset_info.json").exists()
    ]
    return sorted(found, key=lambda version: [int(part) for part in version.name.split(".")])


def _configs(path: Path) -> list[str]:
    return sorted(config.name for config in _subfolders(path) if _versions(config))


def _subfolders(path: Path) -> list[Path]:
    return [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []


def _check_format(name: Name, path: Path) -> None:
    described = read_json(path / "dataset_info.json")
    file_format = described.get("fileFormat", "tfrecord")
    if file_format != "array_record":
        raise InputError(
            f"Data set {str(name)!r} in {path} is prepared as {file_format}, which only TensorFlow "
            "reads: prepare it with file_format='array_record', or name another --data-dir."
        )


def read(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of a split of one prepared version, in the order of the records.

    Returns images uint8 `[n, height, width, channels]` and labels int32 `[n]`.

    Raises:
      InputError: the data set has no `image` of fixed shape and type uint8, or no integer `label`.
    """
    features = info(path).features
    _check(path, features)
    records = Records(path, split)
    raw = records.read(range(len(records)))
    if not isinstance(features["image"], tfds.features.Image):
        examples = [features.deserialize_example_np(record) for record in raw]
        images = np.stack([example["image"] for example in examples])
        return images, np.array([example["label"] for example in examples], np.int32)
    # Parsed directly, in half the time of the general decoder of TFDS.
    shape = tuple(features["image"].shape)
    images = np.empty((len(records), *shape), np.uint8)
    labels = np.empty(len(records), np.int32)
    for index, record in enumerate(raw):
        image, labels[index] = decode(record, shape[-1])
        images[index] = np.asarray(image).reshape(shape)
    return images, labels


def test_split(path: Path) -> str | None:
    """Split to test on: 'test', or 'validation' where there is none or its labels are not public.

    For example, the test images of ImageNet all have the label -1.
    """
    splits = info(path).splits
    found = [split for split in ("test", "validation") if split in splits]
    if len(found) < 2:
        return found[0] if found else None
    (first,) = Records(path, "test").read([0])
    return "validation" if label_of(first) < 0 else "test"


def _check(path: Path, features) -> None:
    """Raise ValueError unless the features are an image of fixed shape and a label."""
    if not {"image", "label"} <= set(features):
        raise InputError(
            f"The data set in {path} must have the features 'image' and 'label', got "
            f"{sorted(features)}."
        )
    image, label = features["image"], features["label"]
    shape = tuple(image.shape)
    if len(shape) != 3 or None in shape or np.dtype(image.np_dtype) != np.uint8:
        raise InputError(
            f"The images of {path} must be uint8 of one fixed shape (height, width, channels), got "
            f"{np.dtype(image.np_dtype).name} of shape {shape}."
        )
    if tuple(label.shape) != () or not np.issubdtype(label.np_dtype, np.integer):
        raise InputError(
            f"The labels of {path} must be one integer each, got {np.dtype(label.np_dtype).name} "
            f"of shape {tuple(label.shape)}."
        )
