"""From one device to all of them: where the state lives, how a batch is dealt out."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cnnjax.train.state import TrainState
from cnnjax.train.step import AXIS

Devices = Sequence[jax.Device]
Prepare = Callable[[Any, dict[str, jax.Array], TrainState], dict[str, jax.Array]]


def replicate(tree: Any, devices: Devices | None = None, *, copy: bool = False) -> Any:
    """Place a whole copy of every array on each of this process's `devices` (default all).

    Python and NumPy values become arrays of jax's default widths, never weakly typed, so that
    different values of one entry share a compiled step. What is placed already stays as it is,
    unless `copy` asks for arrays of its own, which a step may then donate.
    """
    local = [d for d in _devices(devices) if d.process_index == jax.process_index()]
    everywhere = NamedSharding(Mesh(np.array(local), (AXIS,)), PartitionSpec())
    tree = jax.tree.map(lambda x: x if isinstance(x, jax.Array) else np.asarray(x), tree)
    return jax.device_put(tree, everywhere, may_alias=False if copy else None)


def shard(batch: dict[str, Any], devices: Devices | None = None) -> dict[str, np.ndarray]:
    """Deal a batch [n, ...] of all `devices` out: this process's part [local, n / devices, ...].

    Raises:
      ValueError: the entries differ in length, or the devices do not divide it.
    """
    devices = _devices(devices)
    lengths = {name: len(values) for name, values in batch.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"The entries of a batch must have one length, got {lengths}.")
    size = next(iter(lengths.values()))
    if size == 0 or size % len(devices):
        raise ValueError(
            f"A batch of {size} examples cannot be dealt out evenly to {len(devices)} devices."
        )
    local = [i for i, d in enumerate(devices) if d.process_index == jax.process_index()]

    def deal(values):
        values = np.asarray(values)
        return values.reshape(len(devices), size // len(devices), *values.shape[1:])[local]

    return {name: deal(values) for name, values in batch.items()}


def parallel_step(
    step: Callable,
    prepare: Prepare | None = None,
    devices: Devices | None = None,
    *,
    donate_state: bool = False,
) -> Callable:
    """Lift `step(state, batch)` of one device to `parallel(state, source, batch)` of all.

    Args:
      step: pure; its results must be the same on every device.
      prepare: `prepare(source, batch, state) -> batch`, run on every device inside the compiled
        step: it takes examples from `source`, a tree that every device holds whole (images,
        labels, numbers to vary without compiling again), and augments them. Without it the batch
        is the step's, and `source` may be None.
      devices: those to use, of all processes; default all.
      donate_state: the state given is used up, its memory holds the next one.
    """

    def prepared(state, source, batch):
        return step(state, batch if prepare is None else prepare(source, batch, state))

    return jax.pmap(
        prepared,
        axis_name=AXIS,
        in_axes=(None, None, 0),
        out_axes=None,
        devices=_devices(devices),
        donate_argnums=0 if donate_state else (),
    )


def _devices(devices: Devices | None) -> list[jax.Device]:
    return jax.devices() if devices is None else list(devices)
