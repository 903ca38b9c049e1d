"""Several processes of one run: how they find each other, and what they must agree on.

Importing this imports no jax.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

HEARTBEAT_SECONDS = 30
"""A process that is silent for so long is dead, and the others end."""


def initialize(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> str:
    """Join the other processes of this run, before jax is used for anything else.

    Without arguments jax finds them itself, on Slurm, on a TPU pod, or under MPI.

    Args:
      coordinator: HOST:PORT of process 0, which listens there.
      processes: how many there are.
      process: which of them this is, from 0.

    Returns:
      A sentence that says what was resolved.

    Raises:
      ValueError: arguments that do not fit each other, or nothing was found.
    """
    given = [value for value in (coordinator, processes, process) if value is not None]
    if given and (coordinator is None or processes is None or process is None):
        raise ValueError(
            f"--coordinator, --processes and --process belong together, got {coordinator}, "
            f"{processes} and {process}."
        )
    if coordinator is not None and not re.fullmatch(r".+:[0-9]+", coordinator):
        raise ValueError(f"--coordinator is HOST:PORT, such as node1:1234, got {coordinator!r}.")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(
            f"--process counts from 0 to --processes - 1, got {process} of {processes}."
        )
    # Collectives between CPU processes; accelerators have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator,
            num_processes=processes,
            process_id=process,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        found = " ".join(str(error).split())
        raise ValueError(
            "The other processes were not found: neither Slurm, a TPU pod nor MPI is here to say "
            f"where they are, and no --coordinator HOST:PORT answers ({found})."
        ) from None
    where = f"coordinator {coordinator}" if coordinator else "found by jax"
    return (
        f"Process {jax.process_index()} of {jax.process_count()} ({where}): "
        f"{jax.local_device_count()} of {jax.device_count()} devices are here."
    )


def is_first() -> bool:
    """Whether this process is the one that writes: process 0."""
    return jax.process_index() == 0


def are_several() -> bool:
    """Whether this run has more than one process."""
    return jax.process_count() > 1


def agree(compute: Callable[[], Any]) -> Any:
    """What `compute` gives on the first process, on all of them.

    It runs there alone, so files are read and clocks looked at once. The value must be plain JSON.

    Raises:
      Whatever `compute` raises, on the first process; RuntimeError on the others, with its text.
    """
    if not are_several():
        return compute()
    error, value = None, None
    if is_first():
        try:
            value = compute()
        except Exception as raised:
            error = raised
    sent = json.dumps([value, str(error) if error else None])
    said, failed = json.loads(_broadcast(sent.encode()))
    if error is not None:
        raise error
    if failed is not None:
        raise RuntimeError(f"The first process stopped: {failed}")
    return said


def all_of(mine: bool) -> bool:
    """Whether this holds on every process."""
    if not are_several():
        return mine
    return bool(np.all(multihost_utils.process_allgather(np.bool_(mine))))


def _broadcast(text: bytes) -> bytes:
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    content = np.frombuffer(text[:length].ljust(length), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(content), np.uint8).tobytes()
