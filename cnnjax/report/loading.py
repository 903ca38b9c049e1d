"""What a finished or unfinished run holds, for notebooks and for figures of one's own."""

import dataclasses
from pathlib import Path
from typing import Any

from cnnjax.run.config import read_json
from cnnjax.run.metrics import metrics_of
from cnnjax.run.observations import Observations
from cnnjax.run.stored import TABLE


@dataclasses.dataclass(frozen=True)
class Run:
    """What the directory of a run holds; read anew from `load_run`."""

    directory: Path
    """Where it is."""
    config: dict[str, Any]
    """Its configuration."""
    environment: dict[str, Any]
    """Versions, devices, commit and command."""
    observations: Observations
    """Numbers and arrays of every network; `observations.to_pandas()` where pandas is installed."""
    metrics: list[dict[str, Any]]
    """Lines that training logged, oldest first."""
    results: dict[str, Any]
    """Numbers of its page; empty before its end."""
    finished: bool
    """Whether the run came to its end."""


def load_run(directory: str | Path) -> Run:
    """Load what a run has written so far.

    Args:
      directory: of the run, such as runs/equivariance/smoke-1a2b3c4d.

    Raises:
      FileNotFoundError: the directory holds no run.
      ValueError: a file in it is damaged.
    """
    directory = Path(directory)
    if not (directory / "config.json").is_file():
        raise FileNotFoundError(f"directory must be that of a run, got {str(directory)!r}.")
    found = Observations.read(directory) if (directory / TABLE).is_file() else Observations([], ())
    results = directory / "results.json"
    return Run(
        directory=directory,
        config=read_json(directory / "config.json"),
        environment=read_json(directory / "environment.json"),
        observations=found,
        metrics=metrics_of(directory),
        results=read_json(results) if results.is_file() else {},
        finished=(directory / "done").exists(),
    )
