"""One process at a time in a run's directory."""

import contextlib
import errno
import os
import sys
from collections.abc import Generator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None

LOCK = ".lock"
"""The file in a run's directory by which its own processes take turns."""


class DirectoryLock:
    """A directory taken by this process until `release`, or until its end, however it ends.

    Where the file system has no locks, one sentence says so.

    Raises:
      FileExistsError: another process has the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor: int | None = None
        if fcntl is None:
            _say_without(directory)
            return
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                _say_without(directory)
                return
            raise FileExistsError(
                f"Another process is at work in {directory}; wait for it, stop it, or give another "
                "directory with --workdir."
            ) from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others take the directory."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        if not sys.is_finalizing():  # else the system does it
            self.release()


def _say_without(directory: Path) -> None:
    print(
        f"The file system of {directory} has no locks: see to it that no second process uses it.",
        file=sys.stderr,
    )


@contextlib.contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """The processes of one run change the files of its directory one at a time."""
    with open(directory / LOCK, "ab") as held:
        if fcntl is not None:
            # A file system without locks serves one process at a time, as `DirectoryLock` says.
            with contextlib.suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_EX)
        yield
