"""How far a run is, cell by cell, and how much time is left."""

import datetime
import time

from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import rich.console


class Pace:
    """A line for each cell that begins: its number, its factors, and the time left.

    The time left is that of the cells of this process so far, times those that are left.
    """

    def __init__(self, cells: int, left: int, *, quiet: bool = False) -> None:
        self._cells, self._left, self._quiet = cells, left, quiet
        self._observed = 0
        self._started = time.monotonic()
        self._console = rich.console.Console(soft_wrap=True, highlight=False)

    def begin(self, cell: str) -> None:
        """Say which cell begins."""
        number = self._cells - self._left + self._observed + 1
        text = f"[{number}/{self._cells}] {cell}"
        if self._observed:
            each = (time.monotonic() - self._started) / self._observed
            seconds = round(each * (self._left - self._observed))
            text += f"  ({datetime.timedelta(seconds=seconds)} left)"
        if not self._quiet:
            self._console.print(text, markup=False, style="bold")

    def end(self) -> None:
        """Count a cell that was observed."""
        self._observed += 1
