"""The share of a run's cells that one of several workers observes."""

import contextlib
import dataclasses
import os

_VARIABLE = "CNNJAX_SHARE"


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
