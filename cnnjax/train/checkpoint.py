"""Checkpoints on disk: written atomically in the background, verified when read."""

import contextlib
import errno
import itertools
import json
import logging
import os
import sys
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, EveryNSteps, LatestN

from cnnjax.run import hosts
from cnnjax.run.config import InputError
from cnnjax.train.state import TrainState


class Checkpoints:
    """Checkpoints of one run in one directory.

    Kept are the newest `keep`, the best, saved with the highest accuracy, and those of steps
    divisible by `keep_every`. A checkpoint is a flat mapping from the names of the state's leaves
    to arrays, with their shapes and a checksum. Every process has to call every method.

    Args:
      directory: where the checkpoints are.
      keep: number of newest checkpoints to keep.
      keep_every: keep every checkpoint whose step this divides; 0: none.
    """

    def __init__(self, directory: str | Path, *, keep: int = 2, keep_every: int = 0) -> None:
        if keep < 1:
            raise ValueError(f"`keep` must be at least 1, got {keep}.")
        self.directory = Path(directory).absolute()
        logging.getLogger("absl").addFilter(_full_disks_unlogged)  # once, however often it is added
        best = BestN(
            get_metric_fn=lambda metrics: metrics["accuracy"],
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        permanent = [EveryNSteps(keep_every)] if keep_every else []
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy([LatestN(keep), best, *permanent])
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        with self._reporting_a_full_disk():
            self._manager.close()

    def wait(self) -> None:
        """Wait for pending writes.

        Raises:
          OSError: the disk is full; what was saved before is still there.
        """
        with self._reporting_a_full_disk():
            self._manager.wait_until_finished()

    def steps(self) -> list[int]:
        """Steps on disk, in order, after pending writes."""
        self.wait()
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, *, accuracy: float | None = None) -> None:
        """Write the state under its step, in the background.

        Raises:
          RuntimeError: the directory has a checkpoint of this step or a later one.
          OSError: the disk is full; what was saved before is still there.
        """
        leaves = _leaves(state)
        step = int(state.step)
        contents = {"shapes": _shapes(leaves), "checksum": _checksum(leaves)}
        contents["contents_checksum"] = _checksum_of_contents(contents)
        with self._reporting_a_full_disk():
            saved = self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(leaves), contents=ocp.args.JsonSave(contents)
                ),
                metrics=None if accuracy is None else {"accuracy": accuracy},
            )
        if not saved:
            raise RuntimeError(
                f"Checkpoint {step} was not written because {self.directory} holds steps "
                f"{self.steps()}; restore them first or take another directory."
            )

    def restore(self, state: TrainState) -> TrainState:
        """Newest state on disk that can be read, or `state` itself if there is none.

        A corrupt checkpoint is renamed to `<step>.broken-1`, which is reported, and the one before
        it is restored; nothing is deleted.

        Args:
          state: a state of the same network and configuration, from `Training.init`.

        Returns:
          A state of NumPy arrays; `fit` and `evaluate` place it on the devices.

        Raises:
          InputError: a checkpoint of another network or optimiser, or none of them can be read.
        """
        if not isinstance(sys.unraisablehook, _ClosedLoopsIgnored):
            sys.unraisablehook = _ClosedLoopsIgnored(sys.unraisablehook)
        steps, wanted = self.steps(), _leaves(state)
        broken = []
        for step in reversed(steps):
            contents = _trusted(self._read(step, "contents", ocp.args.JsonRestore()))
            if contents is not None and contents["shapes"] != _shapes(wanted):
                raise InputError(self._difference(step, contents["shapes"], _shapes(wanted)))
            leaves = contents and self._read(step, "state", ocp.args.StandardRestore(wanted))
            whole = bool(leaves) and _checksum(leaves) == contents["checksum"]
            # All processes have to agree, or one would wait for the others for ever.
            if hosts.all_of(whole) and leaves:
                for other in broken:
                    self._set_aside(other, step)
                ordered = [leaves[name] for name in wanted]
                return jax.tree.unflatten(jax.tree.structure(state), ordered)
            broken.append(step)
        if steps:
            raise InputError(
                f"None of the checkpoints {steps} in {self.directory} can be read. They are left "
                "as they are: put good ones in their place, or begin anew with --overwrite."
            )
        return state

    def _read(self, step: int, item: str, how: ocp.args.CheckpointArgs):
        with contextlib.suppress(Exception):  # corrupt files raise anything, a bare Exception too
            return self._manager.restore(step, args=ocp.args.Composite(**{item: how}))[item]
        return None

    def _set_aside(self, step: int, taken: int) -> None:
        if jax.process_index() == 0:
            # Numbered, so that earlier ones are kept as well.
            names = (f"{step}.broken-{number}" for number in itertools.count(1))
            broken = next(path for name in names if not (path := self.directory / name).exists())
            (self.directory / str(step)).rename(broken)
            print(f"Checkpoint {step} cannot be read and is now {broken}; {taken} is taken.")
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

    @contextlib.contextmanager
    def _reporting_a_full_disk(self) -> Generator[None]:
        try:
            yield
        except Exception as error:  # it comes as text, from the writing thread
            if not _says_disk_is_full(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.directory)) from None


class _FullDisksUnlogged(logging.Filter):
    """Keeps the tracebacks of a full disk out of orbax's log: `_reporting_a_full_disk` says it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and _says_disk_is_full(record.exc_info[1]))


_full_disks_unlogged = _FullDisksUnlogged()


class _ClosedLoopsIgnored:
    """A `sys.unraisablehook` that ignores one error of TensorStore's threads.

    They outlive a failed read and find its event loop closed; the failure itself is reported.
    """

    def __init__(self, earlier: Callable[[Any], Any]) -> None:
        self.earlier = earlier

    def __call__(self, unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            self.earlier(unraisable)


def _says_disk_is_full(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left on" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _trusted(contents: dict[str, Any] | None) -> dict[str, Any] | None:
    """The contents, unless they are corrupt. Those of cnnjax 0.1.0 have no checksum of their
    own."""
    if contents is None or not {"shapes", "checksum"} <= set(contents):
        return None
    expected = contents.get("contents_checksum", _checksum_of_contents(contents))
    return contents if expected == _checksum_of_contents(contents) else None


def _checksum_of_contents(contents: dict[str, Any]) -> int:
    known = json.dumps([contents["shapes"], contents["checksum"]], sort_keys=True)
    return zlib.crc32(known.encode())


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
