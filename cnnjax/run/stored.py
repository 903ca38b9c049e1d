"""The files of a run's observations: observations.csv, a line a network, and arrays/NAME.npz."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cnnjax.run import files
from cnnjax.run.cells import SEED, Cell, text_of, value_of
from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import numpy as np

TABLE = "observations.csv"


def read_table(directory: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of a run's table, without what is blank in them, and the names of the factors.

    Raises:
      FileNotFoundError: the run has no observations.csv.
      InputError: the file is no table of observations.
    """
    file = directory / TABLE
    try:
        lines = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"))))
    except UnicodeDecodeError as error:
        raise InputError(f"{file} must be text in UTF-8: {error}.") from error
    except csv.Error as error:
        raise InputError(f"{file} must be CSV: {error}.") from error
    if not lines or SEED not in lines[0] or any(len(line) != len(lines[0]) for line in lines):
        raise InputError(
            f"{file} must have a column {SEED!r} and lines of equal length, as record.observe "
            "writes them."
        )
    columns, *lines = lines
    rows = [{name: value_of(text) for name, text in zip(columns, line) if text} for line in lines]
    return rows, columns[: columns.index(SEED) + 1]


def csv_text(lines: Iterable[Iterable[Any]]) -> str:
    """The lines as CSV, each value as `text_of` it."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(map(text_of, line) for line in lines)
    return buffer.getvalue()


def append_row(directory: Path, cell: Cell, row: Mapping[str, Any]) -> bool:
    """Append a row to a run's table; False if it needs another header, and nothing was written."""
    file = directory / TABLE
    if not file.exists():
        return False
    with open(file, encoding="utf-8", newline="") as opened:
        columns = next(csv.reader(opened))
    line = csv_text([[row.get(name) for name in columns]])
    fits = set(row) <= set(columns) and set(cell) <= set(columns[: columns.index(SEED) + 1])
    # A value of several lines could be torn where one of them ends.
    if fits and line.count("\n") == 1:
        files.append(file, line.encode())
        return True
    return False


def arrays_path(directory: Path, cell: Cell) -> Path:
    """Where the arrays of a cell are in a run's directory, whatever the order of its factors."""
    name = ", ".join(f"{factor}={value}" for factor, value in cell.key)
    return directory / "arrays" / f"{files.file_name(name)}.npz"


def write_arrays(directory: Path, cell: Cell, arrays: Mapping[str, Any]) -> None:
    """Write the arrays of a cell, if it has any."""
    if arrays:
        path = arrays_path(directory, cell)
        path.parent.mkdir(exist_ok=True)
        with files.replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)


def read_array(directory: Path, cell: Cell, name: str) -> np.ndarray:
    """An array of a cell; an InputError names the file that does not hold it."""
    file = arrays_path(directory, cell)
    try:
        with open(file, "rb") as opened, np.load(opened) as arrays:
            return arrays[name]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} must hold the array {name!r}: {error}.") from error
