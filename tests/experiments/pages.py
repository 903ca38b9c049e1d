"""What a page shows, taken apart."""

from pathlib import Path
from typing import Any

import pytest

from cnnjax import report


def lead(directory: Path) -> str:
    """The sentence below the title."""
    (first, *_) = [line for line in _lines(directory) if line.startswith("**")]
    return first.strip("*")


def tables(directory: Path) -> list[list[dict[str, str]]]:
    """The rows of every table, each cell under its heading."""
    found: list[list[list[str]]] = []
    before = ""
    for line in _lines(directory):
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        before = line
    return [[dict(zip(head, row, strict=True)) for row in rows] for head, _, *rows in found]


def calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[tuple, dict[str, Any]]]:
    """Arguments of each call of a function of `report`, which still draws."""
    found, draw = [], getattr(report, name)

    def drawing(*args: Any, **kwargs: Any) -> Any:
        found.append((args, kwargs))
        return draw(*args, **kwargs)

    monkeypatch.setattr(report, name, drawing)
    return found


def _lines(directory: Path) -> list[str]:
    return (directory / "report.md").read_text(encoding="utf-8").splitlines()
