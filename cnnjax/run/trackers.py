"""TensorBoard and Weights & Biases, which take the lines of metrics.jsonl as they are written."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run import files
from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.metrics import Tracker, TrackerName

with lazy_imports():
    import tensorboardX
    import wandb  # ty: ignore[import-not-found]

MODULES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


@contextlib.contextmanager
def tracking(
    names: Sequence[TrackerName], directory: Path, config: Mapping[str, Any]
) -> Generator[tuple[Tracker, ...]]:
    """What forwards metrics to each of these, until the end of the context.

    Args:
      names: 'tensorboard' writes event files to DIRECTORY/tensorboard, a folder for each network;
        'wandb' logs a run named as the directory, in the project that WANDB_PROJECT names, else
        cnnjax, with a group of charts for each network.
      directory: of the run.
      config: of the run, which 'wandb' shows.
    """
    made = {"tensorboard": _tensorboard, "wandb": _wandb}
    with contextlib.ExitStack() as closing:
        yield tuple(made[name](directory, config, closing) for name in names)


def require_packages(names: Sequence[TrackerName]) -> None:
    """Raise InputError unless the packages of these trackers are installed."""
    for name in names:
        if importlib.util.find_spec(MODULES[name]) is None:
            raise InputError(
                f"--track {name} must have the package {MODULES[name]}, which is not installed: "
                f'pip install -e ".[{name}]".'
            )


def _tensorboard(
    directory: Path, config: Mapping[str, Any], closing: contextlib.ExitStack
) -> Tracker:
    del config
    writers: dict[str, Any] = {}

    def write(step: int, network: str, numbers: Mapping[str, float]) -> None:
        if network not in writers:
            folder = directory / "tensorboard" / files.file_name(network or "run")
            # A training that goes on from a checkpoint has written later steps before it stopped.
            writers[network] = tensorboardX.SummaryWriter(str(folder), purge_step=step)
            closing.callback(writers[network].close)
        for name, number in numbers.items():
            writers[network].add_scalar(name, number, step)

    return write


def _wandb(directory: Path, config: Mapping[str, Any], closing: contextlib.ExitStack) -> Tracker:
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "cnnjax"),
        name=directory.name,
        dir=str(directory),
        config=dict(config),
    )
    closing.callback(run.finish)

    def write(step: int, network: str, numbers: Mapping[str, float]) -> None:
        # Networks are trained one after the other, each from step 1: the step is one more number.
        place = f"{network}/" if network else ""
        run.define_metric(f"{place}*", step_metric=f"{place}step")
        logged = {f"{place}{name}": number for name, number in numbers.items()}
        run.log({f"{place}step": step, **logged})

    return write
