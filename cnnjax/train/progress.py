"""Progress of a run on the terminal, and its throughput."""

import contextlib
import datetime
import time
from collections.abc import Generator

import jax
import rich.console
import rich.progress


class Throughput:
    """Images per second from the first step to the last, without pauses.

    The first step, which compiles, only starts the clock.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._steps = -1
        self._started = self._last = 0.0

    def step(self) -> None:
        """Count one step, whose results are on the host."""
        self._last = time.perf_counter()
        if self._steps < 0:
            self._started = self._last
        self._steps += 1

    @contextlib.contextmanager
    def pause(self) -> Generator[None]:
        """Exclude the time inside; no step may be running."""
        began = time.perf_counter()
        yield
        self._started += time.perf_counter() - began
        self._last += time.perf_counter() - began

    @property
    def images_per_second(self) -> float | None:
        """Throughput, or None before the second step."""
        if self._steps < 1:
            return None
        return self._steps * self._batch_size / (self._last - self._started)


class Progress:
    """Progress bar on a terminal, plain lines elsewhere; silent except on the first process."""

    def __init__(
        self,
        steps: int,
        batch_size: int,
        log_every: int,
        *,
        quiet: bool = False,
        console: rich.console.Console | None = None,
    ) -> None:
        self._steps, self._batch_size, self._log_every = steps, batch_size, log_every
        self._silent = quiet or jax.process_index() != 0
        self._console = console or rich.console.Console(soft_wrap=True, highlight=False)
        self._bar = rich.progress.Progress(
            rich.progress.BarColumn(bar_width=20),
            rich.progress.TextColumn("{task.description}", markup=False),
            console=self._console,
            disable=self._silent or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("compiling", total=steps)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def step(
        self, step: int, loss: float, accuracy: float, images_per_second: float | None
    ) -> None:
        """Show a step, whose results are on the host."""
        text = f"step {step:,}/{self._steps:,}  loss {loss:.4f}  accuracy {accuracy:.3f}"
        if images_per_second is not None:
            seconds = round((self._steps - step) * self._batch_size / images_per_second)
            left = datetime.timedelta(seconds=seconds)
            text += f"  {images_per_second:,.0f} images/s  {left} left"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=step, description=text)
        elif step % self._log_every == 0 or step == self._steps:
            self.line(text)

    def line(self, text: str) -> None:
        """Print a permanent line."""
        if not self._silent:
            self._console.print(text, markup=False)
