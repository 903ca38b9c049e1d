"""How far a run is, cell by cell, and how much time is left."""

import datetime
import time
from collections.abc import Iterator, Sequence

from cnnjax.run.cells import Cell
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import rich.console


def announced(left: Sequence[Cell], total: int, *, quiet: bool = False) -> Iterator[Cell]:
    """The cells that are left, each after a line of its number, its factors, and the time left.

    The time left is that of the cells of this process so far, times those that are left.
    """
    console = rich.console.Console(soft_wrap=True, highlight=False, quiet=quiet)
    started = time.monotonic()
    for done, cell in enumerate(left):
        text = f"[{total - len(left) + done + 1}/{total}] {cell}"
        if done:
            seconds = round((time.monotonic() - started) / done * (len(left) - done))
            text += f"  ({datetime.timedelta(seconds=seconds)} left)"
        console.print(text, markup=False, style="bold")
        yield cell
