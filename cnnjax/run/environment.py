"""What a run ran on: versions, devices, commit and command line."""

import collections
import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.lazy import lazy_imports
from cnnjax.run.process import DETERMINISTIC

with lazy_imports():
    import jax

PACKAGES = (
    "cnnjax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "tensorflow-datasets",
    "array-record",
    "scikit-learn",
    "matplotlib",
)


def environment(command: Sequence[str], source: Path | None) -> dict[str, Any]:
    """The environment of this process, as environment.json holds it.

    Args:
      command: the command line.
      source: folder of the experiment; commit and dirty flag are None unless git tracks its files.
    """
    commit, dirty = _commit(source)
    flags = os.environ.get("XLA_FLAGS", "")
    return {
        "command": shlex.join(command),
        "started": now(),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "platform": jax.default_backend(),
        "devices": dict(collections.Counter(device.device_kind for device in jax.devices())),
        "processes": jax.process_count(),
        # Whether the same command gives the same bits again: always, but on GPUs only if asked.
        "deterministic": jax.default_backend() != "gpu" or DETERMINISTIC in flags,
        "xla_flags": flags,
    }


def now() -> str:
    """The time, UTC, as ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _commit(source: Path | None) -> tuple[str | None, bool | None]:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(source), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if source is None or not git("ls-files") or not (commit := git("rev-parse", "HEAD")):
        return None, None
    return commit, bool(git("status", "--porcelain"))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
