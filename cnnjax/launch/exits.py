"""How a command ends: its exit code, and the one sentence that says why."""

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Generator
from typing import Any, NoReturn

DONE, FAILED, WRONG_INPUT, DIVERGED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
"""Exit codes. FAILED comes with a traceback, or with one sentence where the disk or the memory is
full, and of a sweep with what failed; the last two are 128 and the number of the signal, SIGINT and
SIGTERM."""


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


def outlive_readers() -> None:
    """Let the process go on, its output dropped, when nothing reads it any more, as after `| head`.

    To be called once, before anything is printed.
    """
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(
                sys,
                name,
                io.TextIOWrapper(
                    io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False)),
                    encoding=stream.encoding,
                    errors=stream.errors,
                    line_buffering=stream.line_buffering or stream.write_through,
                ),
            )


class _Pipe(io.FileIO):
    """An output that becomes the null device when its reader closes it."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return super().write(content)


def exhausted(error: BaseException) -> str | None:
    """What of the machine an error says is exhausted, as a sentence without its end, or None."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return f"The file system of {error.filename} became read-only"
    if isinstance(error, MemoryError):
        return f"The memory is too small: {error or 'an array does not fit'}"
    # jax's error, which is not imported here; XLA says what it could not allocate.
    if type(error).__name__ == "JaxRuntimeError":
        allocation = re.search(r"Out of memory[^\n]*|(?<=RESOURCE_EXHAUSTED: )[^\n]*", str(error))
        if allocation is not None:
            return f"The memory is too small: {allocation[0].rstrip('.')}"
    return None


def say(text: str) -> None:
    """Print one line for the person at the terminal, on stderr."""
    print(f"launch.py: {text}", file=sys.stderr, flush=True)


def sentence(error: BaseException) -> str:
    """What an error says, on one line."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror}: {error.filename}."
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
