"""How a command ends: its exit code, and the one sentence that says why."""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import NoReturn

DONE, FAILED, WRONG_INPUT, DIVERGED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
"""Exit codes. FAILED comes with a traceback, or of a sweep with what failed; the last two are 128
and the number of the signal, SIGINT and SIGTERM."""


@contextlib.contextmanager
def one_sentence(*errors: type[Exception]) -> Generator[None]:
    """Turn these errors into one sentence on stderr and exit code 2: wrong input."""
    try:
        yield
    except errors as error:
        say(sentence(error))
        raise SystemExit(WRONG_INPUT) from None


def leave(code: int) -> NoReturn:
    """End the process with this exit code.

    After a signal at once: XLA may be compiling in a thread of its own, in which the interpreter's
    orderly ending would crash, and with that lose the code.
    """
    if code in (INTERRUPTED, TERMINATED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def say(text: str) -> None:
    """Print one line for the person at the terminal, on stderr."""
    print(f"launch.py: {text}", file=sys.stderr, flush=True)


def sentence(error: BaseException) -> str:
    """What an error says, on one line."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}: {error.filename}."
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
