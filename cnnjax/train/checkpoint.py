"""Checkpoints on disk: written in the background, whole or not at all, checked when read."""

import shutil
import zlib
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from cnnjax.train.state import TrainState


class Checkpoints:
    """The checkpoints of one run in one directory; the newest `keep` and the best are kept.

    Best is the one saved with the highest accuracy. A checkpoint is a flat mapping from
    the names of the state's leaves to arrays, with their shapes and a checksum. On many processes
    all of them call every method.
    """

    def __init__(self, directory: str | Path, *, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep} must be at least 1.")
        self.directory = Path(directory).absolute()
        best = BestN(
            get_metric_fn=lambda metrics: metrics["accuracy"],
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy([LatestN(keep), best])
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self._manager.close()

    def wait(self) -> None:
        """Return when the writing under way is done."""
        self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        """The steps that are on disk, in order, once the writing under way is done."""
        self.wait()
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, *, accuracy: float | None = None) -> None:
        """Write the state under its step; returns while the writing goes on.

        Raises:
          RuntimeError: the directory holds this step or a later one.
        """
        leaves = _leaves(state)
        step = int(state.step)
        saved = self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(leaves),
                contents=ocp.args.JsonSave(
                    {"shapes": _shapes(leaves), "checksum": _checksum(leaves)}
                ),
            ),
            metrics=None if accuracy is None else {"accuracy": accuracy},
        )
        if not saved:
            raise RuntimeError(
                f"Checkpoint {step} was not written because {self.directory} holds steps "
                f"{self.steps()}; restore them first or take another directory."
            )

    def restore(self, state: TrainState) -> TrainState:
        """The newest state on disk that can be read, or `state` itself where there is none.

        A broken checkpoint is renamed to `<step>.broken`, with one printed sentence, and the one
        before it is taken.

        Args:
          state: one of the same network and configuration, as `Training.init` makes it.

        Returns:
          A state of NumPy arrays; `fit` and `evaluate` place it on the devices.

        Raises:
          ValueError: a checkpoint is of another network, or of another optimiser.
          RuntimeError: there are checkpoints, and none of them can be read.
        """
        steps, wanted = self.steps(), _leaves(state)
        for step in reversed(steps):
            contents = self._read(step, "contents", ocp.args.JsonRestore())
            if contents is not None and contents["shapes"] != _shapes(wanted):
                raise ValueError(self._difference(step, contents["shapes"], _shapes(wanted)))
            leaves = contents and self._read(step, "state", ocp.args.StandardRestore(wanted))
            if leaves and _checksum(leaves) == contents["checksum"]:
                ordered = [leaves[name] for name in wanted]
                return jax.tree.unflatten(jax.tree.structure(state), ordered)
            self._set_aside(step)
        if steps:
            raise RuntimeError(
                f"None of the checkpoints {steps} in {self.directory} can be read; all of them are "
                "set aside, and the next run begins anew."
            )
        return state

    def _read(self, step: int, item: str, how: ocp.args.CheckpointArgs):
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{item: how}))[item]
        except Exception:  # torn files raise anything, a bare Exception too
            return None

    def _set_aside(self, step: int) -> None:
        if jax.process_index() == 0:
            broken = self.directory / f"{step}.broken"
            shutil.rmtree(broken, ignore_errors=True)  # of an earlier time
            (self.directory / str(step)).rename(broken)
            print(f"Checkpoint {step} cannot be read and is now {broken}; trying the one before.")
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"checkpoint {step} set aside")
        self._manager.reload()

    def _difference(self, step: int, found: dict[str, str], wanted: dict[str, str]) -> str:
        name = next(n for n in sorted({*found, *wanted}) if found.get(n) != wanted.get(n))
        return (
            f"Checkpoint {step} in {self.directory} is not of this network and configuration: "
            f"it has {name} {found.get(name, 'not at all')}, "
            f"the run has it {wanted.get(name, 'not at all')}."
        )


def _leaves(state: TrainState) -> dict[str, np.ndarray]:
    # Copies: the device memory behind a state is reused while it is still being written.
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.array(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def _shapes(leaves: dict[str, np.ndarray]) -> dict[str, str]:
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in leaves.items()}


def _checksum(leaves: dict[str, np.ndarray]) -> int:
    checksum = 0
    for name in sorted(leaves):
        checksum = zlib.crc32(leaves[name].tobytes(), checksum)
    return checksum
