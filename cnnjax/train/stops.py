"""Ends of training before its last step; importing this file imports no jax."""

import contextlib
import signal
import threading
from collections.abc import Generator

TERMINATED_CODE = 128 + signal.SIGTERM


class Diverged(FloatingPointError):
    """The loss or the gradient is not finite."""


class Terminated(SystemExit):
    """SIGTERM ended the run, after saving its state. The exit code is 143."""

    def __init__(self) -> None:
        super().__init__(TERMINATED_CODE)


# Signals are per process: whether one came in the present `ending_at_once`.
_unheard = threading.Event()


@contextlib.contextmanager
def ending_at_once() -> Generator[None]:
    """Context in which SIGTERM raises `Terminated` in the main thread at once.

    Where Python drops exceptions, as in finalisers and callbacks of libraries, the next loop in
    `ending_after_the_step` still ends after its first step.
    """
    _unheard.clear()

    def end(*_):
        _unheard.set()
        raise Terminated

    with _handled(end):
        yield


@contextlib.contextmanager
def ending_after_the_step() -> Generator[threading.Event]:
    """Context in which SIGTERM sets an event, for a loop that saves before it ends."""
    requested = threading.Event()
    if _unheard.is_set():
        requested.set()
    with _handled(lambda *_: requested.set()):
        yield requested


@contextlib.contextmanager
def _handled(handler) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
