"""Files that appear whole or not at all, in a directory that one process has at a time."""

import contextlib
import errno
import hashlib
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None

LOCK = ".lock"
"""The file in a run's directory by which its own processes take turns."""


@contextlib.contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary path beside this one, which takes its place, safely on disk, at the end."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def append(path: Path, line: bytes) -> None:
    """Append a line to a file; it is on disk when this returns."""
    drop_torn_line(path)
    with open(path, "ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def drop_torn_line(path: Path) -> None:
    """Remove the half of a line with which a file ends if a process was killed as it appended."""
    if not path.exists() or not path.stat().st_size:
        return
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def file_name(name: str) -> str:
    """The name itself if it is safe as one, else a safe one that no other name gets."""
    if re.fullmatch(r"\w[\w.-]{0,99}", name, re.ASCII):
        return name
    safe = re.sub(r"[^\w-]+", "_", name, flags=re.ASCII).strip("_")[:80]
    return f"{safe or '_'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _sync_directory(folder: Path) -> None:
    """The new name survives a loss of power, too, where the system can promise that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)


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
