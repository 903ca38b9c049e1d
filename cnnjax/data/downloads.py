"""Downloads of files of known size and SHA-256: quick failure offline, a progress bar, retries."""

import dataclasses
import hashlib
import http.client
import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    from rich import console, progress

PROBE_SECONDS = 3
SILENCE_SECONDS = 30
WAITS = (1, 4, 16)  # seconds between one attempt and the next
BLOCK = 1 << 18


class DownloadError(OSError):
    """A file could not be downloaded; the message gives the reason, as part of a sentence."""


@dataclasses.dataclass(frozen=True)
class File:
    """A file on the web.

    Args:
      url: its last part is the name of the file on disk.
      size: size in bytes.
      sha256: checksum in hexadecimal.
    """

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return Path(urllib.parse.urlsplit(self.url).path).name


def fetch(files: Sequence[File], folder: Path) -> list[Path]:
    """Paths of the files in the folder; missing ones are downloaded.

    A file put into the folder by hand is used like a downloaded one.

    Raises:
      DownloadError: a host cannot be reached (found within seconds) or does not serve the file.
      InputError: a file, found or downloaded, is not the registered one.
    """
    missing = [file for file in files if not (folder / file.name).exists()]
    for host in dict.fromkeys(_contact(file.url) for file in missing):
        _probe(*host)
    for file in missing:
        _download(file, folder)
    for file in files:
        _verify(file, folder / file.name)
    return [folder / file.name for file in files]


def _contact(url: str) -> tuple[str, int]:
    """Host and port of a request for the URL: its own, or those of the proxy."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _probe(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), PROBE_SECONDS).close()
    except OSError as error:
        raise DownloadError(f"host {host} is unreachable ({error})") from None


def _verify(file: File, path: Path) -> None:
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if sha256 != file.sha256:
        raise InputError(
            f"{path} is not the registered file: its SHA-256 must be {file.sha256} ({file.size} "
            f"bytes), got {sha256} ({path.stat().st_size} bytes); delete it to download it from "
            f"{file.url}."
        )


def _download(file: File, folder: Path) -> None:
    """Download to a temporary name beside the final one, and rename if the size is correct."""
    folder.mkdir(parents=True, exist_ok=True)
    for wait in (*WAITS, None):
        handle, partial = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".part", dir=folder)
        try:
            with os.fdopen(handle, "wb") as output:
                received = _copy(file, output)
            if received != file.size:
                raise OSError(f"it ended after {received} of {file.size} bytes")
            os.replace(partial, folder / file.name)
            return
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if wait is None or refused:
                raise DownloadError(f"{file.url} could not be downloaded ({error})") from None
        finally:
            Path(partial).unlink(missing_ok=True)
        time.sleep(wait)


def _copy(file: File, output: BinaryIO) -> int:
    """Copy the content of the URL to an open file; returns the number of bytes."""
    errors = console.Console(stderr=True)
    with (
        urllib.request.urlopen(file.url, timeout=SILENCE_SECONDS) as response,
        progress.wrap_file(response, file.size, description=file.name, console=errors) as content,
    ):
        shutil.copyfileobj(content, output, BLOCK)
    return output.tell()
