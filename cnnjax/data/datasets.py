"""Data sets by TFDS name: prepared if missing, read into memory without TensorFlow."""

import dataclasses
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnjax.data import records, storage
from cnnjax.data.batches import held_out
from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports

with lazy_imports():  # for what is not prepared
    import tensorflow_datasets as tfds

    from cnnjax.data import builders, downloads


class DatasetNotFoundError(FileNotFoundError):
    """A data set is neither prepared in the folders searched nor can it be prepared."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Examples in memory.

    Args:
      images: uint8 [n, height, width, channels].
      labels: int32 [n].
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.images)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of these examples."""
        return self.images[indices], self.labels[indices]

    def part(self, indices: np.ndarray) -> "Split":
        """These examples alone."""
        return Split(*self.read(indices))


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    Args:
      name: TFDS name, with the config where there is one.
      version: for example '3.0.1'.
      train: examples to train on.
      validation: examples on which choices are made, the same for every seed: the split
        'validation' where there is another to test on, else some of the split 'train'.
      test: examples to test on, once nothing is left to choose: the split 'test', else
        'validation'.
      num_classes: labels are 0 .. num_classes - 1.
      class_names: one for every class.
      citation: what to cite.
    """

    name: str
    version: str
    train: Split
    validation: Split
    test: Split
    num_classes: int
    class_names: tuple[str, ...]
    citation: str


def load(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    validation_images: int | None = None,
) -> Dataset:
    """Read a data set into memory; prepare it first if it is missing.

    Decoding takes about 75 microseconds an image on one CPU core: 5 s for mnist, 0.1 s for digits.

    Args:
      name: TFDS name: 'mnist', 'mnist:3.0.1' or 'name/config'. Any data set prepared by TFDS as
        array_record is read; those of `cnnjax.data.builders.NAMES` are prepared when missing.
      data_dir: folder of prepared data sets; None: the environment's `TFDS_DATA_DIR`, else
        `~/tensorflow_datasets`.
      validation_images: number of training images to validate on, not to train on; None: see
        `validation.held_out`, or the data set's own split.

    Raises:
      DatasetNotFoundError: the data set is missing and cannot be prepared.
      InputError: it is prepared, but cannot be used, or not with so many validation images.
    """
    path = prepare(name, data_dir)
    classes = number_of_classes(path)

    def split(which: str) -> Split:
        images, labels = storage.read(path, which)
        return Split(images, checked_labels(labels, path, classes))

    return assembled(path, name, split, lambda train: train.labels, validation_images)


def assembled(
    path: Path,
    name: str,
    split: Callable[[str], Any],
    labels: Callable[[Any], np.ndarray],
    validation_images: int | None = None,
) -> Dataset:
    """The data set prepared in a folder, its splits opened by name.

    Args:
      path: folder of the prepared version.
      name: what to call it in a sentence about it.
      split: opens a split.
      labels: class of each example of the split 'train', by which validation examples are chosen.
      validation_images: as for `load`.

    Raises:
      InputError: it lacks a split to train or to test on, or has no such validation images.
    """
    info, tested_on = records.info(path), storage.test_split(path)
    if "train" not in info.splits or tested_on is None:
        raise InputError(
            f"Data set {name!r} in {path} must have the splits 'train' and 'test' (or "
            f"'validation'), got {sorted(info.splits)}."
        )
    train, test, label = split("train"), split(tested_on), info.features["label"]
    num_classes = number_of_classes(path) or 1 + int(max(train.labels.max(), test.labels.max()))
    if tested_on == "test" and "validation" in info.splits:
        if validation_images is not None:
            raise InputError(
                f"Validation images of {name!r} must not be given, got {validation_images}: it has "
                "a split 'validation' of its own."
            )
        validation = split("validation")
    else:
        kept, held = held_out(labels(train), name, validation_images)
        train, validation = train.part(kept), train.part(held)
    return Dataset(
        name=info.full_name.rsplit("/", 1)[0],
        version=str(info.version),
        train=train,
        validation=validation,
        test=test,
        num_classes=num_classes,
        class_names=tuple(getattr(label, "names", None) or map(str, range(num_classes))),
        citation=info.citation,
    )


def number_of_classes(path: Path) -> int | None:
    """Number of classes of the data set prepared in a folder; None where its labels have none."""
    features = dict(records.info(path).features.items())
    return getattr(features.get("label"), "num_classes", None)


def checked_labels(
    labels: Sequence[int] | np.ndarray, where: object, classes: int | None
) -> np.ndarray:
    """The labels, int32.

    Args:
      labels: one for each example.
      where: what to call the data set in a sentence about it.
      classes: number of classes; None: as many as the labels need.

    Raises:
      InputError: one is negative, or not below the number of classes.
    """
    checked = np.asarray(labels, np.int64)
    if len(checked) and (lowest := checked.min()) < 0:
        raise InputError(
            f"The labels of {where} must be at least 0, got {lowest}: examples without a class."
        )
    if classes is not None and len(checked) and (highest := checked.max()) >= classes:
        raise InputError(
            f"The labels of {where} must be below {classes}, the number of classes in its "
            f"features.json, got {highest}: correct that number, or prepare the data set again."
        )
    return checked.astype(np.int32)


def prepare(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """Prepare a data set on disk unless it is prepared already; returns the folder of its version.

    Files are downloaded to `<data_dir>/downloads/<name>/`; files of the same names put there by
    hand are used instead. Several processes may prepare the same data set at once. Arguments as of
    `load`; where data_dir is read-only, `~/tensorflow_datasets` is written to instead.

    Raises:
      DatasetNotFoundError: the data set is missing and cannot be prepared.
      InputError: it is prepared but cannot be used, or a downloaded file is not the registered one.
    """
    wanted = storage.parse(name)
    searched = storage.folders(data_dir)
    found = storage.find(wanted, searched)
    if found is not None:
        return found
    if wanted.name not in builders.NAMES or wanted.config is not None:
        raise DatasetNotFoundError(_unknown(wanted, searched))
    module = importlib.import_module(f"cnnjax.data.builders.{wanted.name}")
    if wanted.version not in (None, str(module.Builder.VERSION)):
        raise DatasetNotFoundError(
            f"Data set {name!r} is not in {_listed(searched)}, and cnnjax prepares version "
            f"{module.Builder.VERSION} of it."
        )
    sources = {"mnist": prepare("mnist", data_dir)} if wanted.name == "rotated_mnist" else {}
    try:
        files = getattr(module.Builder, "FILES", ())
        downloads.fetch(files, searched[-1] / "downloads" / wanted.name)
    except downloads.DownloadError as error:
        raise DatasetNotFoundError(
            _not_downloaded(module.Builder, searched, data_dir, error)
        ) from None
    print(f"Preparing {wanted.name} in {searched[-1]}.", file=sys.stderr)
    try:
        return _build(module.Builder, searched[-1], sources)
    except OSError:
        # Another process that prepared the same data set may have been first to rename its folder.
        found = storage.find(wanted, searched)
        if found is None:
            raise
        return found


def _build(builder_class, folder: Path, sources: dict[str, Path]) -> Path:
    """Prepare by TFDS, which renames a temporary folder, so that no partial data set is ever
    seen."""
    with records.quiet():
        builder = builder_class(data_dir=folder, file_format="array_record", **sources)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
        return Path(builder.data_dir)


def _not_downloaded(builder_class, searched, data_dir, error) -> str:
    name = builder_class.name
    option = f" --data-dir {data_dir}" if data_dir else ""
    files = ", ".join(file.name for file in builder_class.FILES)
    return (
        f"Data set {name!r} is not in {_listed(searched)} and cannot be downloaded, {error}: run "
        f"`python launch.py prepare {name}{option}` with network access, or put {files} into "
        f"{searched[-1] / 'downloads' / name} first; `--data digits` needs no download."
    )


def _unknown(wanted: storage.Name, searched) -> str:
    there = storage.prepared(searched)
    close = difflib.get_close_matches(str(wanted), {*builders.NAMES, *there}, n=1)
    hint = f" (perhaps you meant {close[0]!r})" if close else ""
    return (
        f"Data set {str(wanted)!r} is not in {_listed(searched)}{hint}: prepared there are "
        f"[{', '.join(there)}], cnnjax prepares [{', '.join(builders.NAMES)}], and any other image "
        "data set is read once TFDS has prepared it there with file_format='array_record'."
    )


def _listed(searched) -> str:
    return " or ".join(str(folder) for folder in searched)
