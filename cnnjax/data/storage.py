"""Folders of prepared data sets: `<data_dir>/<name>[/<config>]/<version>`, as in TFDS."""

import dataclasses
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

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
        raise ValueError(
            f"The name of a data set must be like 'mnist', 'mnist:3.0.1' or 'name/config', got "
            f"{text!r}."
        )
    return Name(**match.groupdict())


def folders(data_dir: str | os.PathLike | None = None) -> tuple[Path, ...]:
    """Folders to search, in this order; the last one is writable.

    The first is `data_dir`, else the environment's `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
    Where it is read-only, `~/tensorflow_datasets` follows, and where that is too, a temporary one.
    """
    home = Path("~/tensorflow_datasets").expanduser()
    wanted = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or home).expanduser().resolve()
    temporary = Path(tempfile.gettempdir()) / f"tensorflow_datasets-{os.getuid()}"
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
      ValueError: it is prepared in a format that only TensorFlow reads, or in several configs and
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
            raise ValueError(
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
    info = json.loads((path / "dataset_info.json").read_text())
    file_format = info.get("fileFormat", "tfrecord")
    if file_format != "array_record":
        raise ValueError(
            f"Data set {str(name)!r} in {path} is prepared as {file_format}, which only TensorFlow "
            "reads: prepare it with file_format='array_record', or name another --data-dir."
        )
