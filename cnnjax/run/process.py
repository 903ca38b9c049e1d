"""This process: settings that must be made before jax is imported, and which of a run's cells it
observes where several workers do; importing this imports no jax."""

import contextlib
import ctypes
import dataclasses
import hashlib
import os
import platform
from pathlib import Path

DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
"""What makes GPUs give the same bits every time; CPUs and TPUs do so anyway."""

CACHE_BYTES = 2**30
"""Size at which the compilation cache drops what was not used for longest."""

_VARIABLE = "CNNJAX_SHARE"


def configure(
    devices: int | None = None, *, deterministic: bool = False, cache: bool = False
) -> None:
    """Make XLA's CPU backend fast and safe in this process; call it before jax is imported.

    * memory: glibc keeps freed pages, so that temporaries are not page-faulted anew every step;
    * YNNPACK's single-threaded stride-1 convolutions are left to XLA's own (dots stay with it);
    * `NPROC`: XLA's thread pool has more threads than cores, so that no core waits for another.

    What the user has set in the environment is kept.

    Args:
      devices: number of virtual CPU devices to create; None leaves jax's own (one).
      deterministic: GPUs take only algorithms that give the same bits every time, and choose among
        them without timing; slower.
      cache: keep what is compiled in the user's cache directory, for later processes; at most
        `CACHE_BYTES` of it.
    """
    _keep_freed_memory()
    if cache:
        _keep_compilations()
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_experimental_ynn_fusion_type" not in flags:
        flags += " --xla_cpu_experimental_ynn_fusion_type=-individual_convolution"
    if devices is not None and "xla_force_host_platform_device_count" not in flags:
        flags += f" --xla_force_host_platform_device_count={devices}"
    if deterministic and "xla_gpu_deterministic_ops" not in flags:
        flags += f" {DETERMINISTIC}"
    if deterministic and "xla_gpu_autotune_level" not in flags:
        flags += " --xla_gpu_autotune_level=0"
    os.environ["XLA_FLAGS"] = flags.strip()
    # With fewer than two threads a virtual device, collectives of queued steps dead-lock.
    threads = max(2 * (os.cpu_count() or 1), 4 * (devices or 1))
    os.environ.setdefault("NPROC", str(threads))


def _keep_freed_memory() -> None:
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # mallopt's names for them, malloc.h
    libc = ctypes.CDLL(None)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(arena_max, 1)


def _keep_compilations() -> None:
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # Machine code is of one kind of processor, and a cluster's nodes may share the directory.
    folder = caches / "cnnjax" / f"compilations-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(CACHE_BYTES))
        # Many small programs make up most of a short run's compilation.
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _processor() -> str:
    """The processor's instruction sets, as a short name."""
    said = platform.machine() + platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        said += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(said.encode()).hexdigest()[:12]


class ShareObserved(Exception):
    """A worker has observed its share of the cells; the run goes on in the process above it."""


@dataclasses.dataclass(frozen=True)
class Share:
    """The cells whose number leaves `index` modulo `workers`."""

    index: int
    workers: int

    @classmethod
    def of_this_process(cls) -> "Share | None":
        """The share that the process above gave to this one; None if this is no worker."""
        index, _, workers = os.environ.get(_VARIABLE, "").partition("/")
        return cls(int(index), int(workers)) if workers else None

    def environment(self) -> dict[str, str]:
        """The environment variables of the process that is to have this share."""
        return {_VARIABLE: f"{self.index}/{self.workers}"}

    def take_cores(self) -> None:
        """Run on this worker's share of the CPU cores, where the system lets a process choose."""
        with contextlib.suppress(AttributeError, OSError):
            cores = sorted(os.sched_getaffinity(0))
            if len(cores) >= self.workers:
                os.sched_setaffinity(0, set(cores[self.index :: self.workers]))
