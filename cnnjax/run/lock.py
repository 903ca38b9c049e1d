"""One process at a time in a run's directory."""

import errno
import os
import sys
from pathlib import Path


class DirectoryLock:
    """A directory taken by this process until `release`, or until its end, however it ends.

    Where the file system has no locks, one sentence says so.

    Raises:
      FileExistsError: another process has the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._descriptor: int | None = None
        try:
            import fcntl
        except ImportError:  # not on this system
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
