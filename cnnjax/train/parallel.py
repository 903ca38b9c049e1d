"""Data parallelism: the state replicated on all devices, batches sharded across them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cnnjax.train.state import AUGMENTATION, TrainState, example_keys
from cnnjax.train.step import AXIS

Devices = Sequence[jax.Device]
Prepare = Callable[[Any, dict[str, jax.Array], TrainState], dict[str, jax.Array]]


def replicate(tree: Any, devices: Devices | None = None, *, copy: bool = False) -> Any:
    """Replicate every array on each of this process's `devices` (default all).

    Python and NumPy values become arrays of jax's default widths, never weakly typed, so that
    different values of one entry share a compiled step. Arrays that are replicated already stay
    as they are, unless `copy` requires new ones, which a step may then donate.
    """
    local = [d for d in _devices(devices) if d.process_index == jax.process_index()]
    everywhere = NamedSharding(Mesh(np.array(local), (AXIS,)), PartitionSpec())
    tree = jax.tree.map(lambda x: x if isinstance(x, jax.Array) else np.asarray(x), tree)
    return jax.device_put(tree, everywhere, may_alias=False if copy else None)


def shard(batch: dict[str, Any], devices: Devices | None = None) -> dict[str, np.ndarray]:
    """Shard a batch `[n, ...]` across `devices`: this process's part `[local, n / devices, ...]`.

    Raises:
      ValueError: entries of different lengths, or a length that the devices do not divide.
    """
    devices = _devices(devices)
    lengths = {name: len(values) for name, values in batch.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"the entries of `batch` must have one length, got {lengths}.")
    size = next(iter(lengths.values()))
    if size == 0 or size % len(devices):
        raise ValueError(
            f"`batch` must have a positive multiple of {len(devices)} examples, to be sharded "
            f"across as many devices, got {size}."
        )
    local = [i for i, d in enumerate(devices) if d.process_index == jax.process_index()]

    def sharded(values):
        values = np.asarray(values)
        return values.reshape(len(devices), size // len(devices), *values.shape[1:])[local]

    return {name: sharded(values) for name, values in batch.items()}


def parallel_step(
    step: Callable,
    prepare: Prepare | None = None,
    devices: Devices | None = None,
    *,
    donate_state: bool = False,
) -> Callable:
    """Parallelise `step(state, batch)` of one device: `parallel(state, source, batch)` on all.

    Args:
      step: pure function with the same results on every device.
      prepare: `prepare(source, batch, state) -> batch`, run on every device inside the compiled
        step: takes examples from `source`, a tree replicated on every device (images, labels,
        numbers that vary without recompilation), and augments them. Without it the batch goes to
        the step, and `source` may be None.
      devices: devices of all processes to use; default all.
      donate_state: reuse the memory of the state for the next one.
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


Augment = Callable[[jax.Array, jax.Array, dict[str, Any]], jax.Array]


def augmented(augment: Augment, *, deterministic: bool = False) -> Prepare:
    """Take the examples of a batch, and augment each with a key of its own.

    Args:
      augment: `augment(images, keys, source)` makes the network's input from uint8 images
        `[batch, height, width, channels]` and typed keys `[batch]`; other entries of `source`, such
        as the largest translation, may differ from call to call without recompilation. `source`
        also holds the examples' labels, under 'label'.
      deterministic: for evaluation: the key of an example depends on its position alone, not on the
        seed and the step of the state.

    Returns:
      `prepare` of `compile_training`: for batches with 'position' and either 'index', of 'images'
      and 'labels' in the source, or 'image' and 'label', and any other entries.
    """

    def prepare(source, batch, state: TrainState):
        if deterministic:
            state = state.replace(seed=jnp.zeros_like(state.seed), step=jnp.zeros_like(state.step))
        if "index" in batch:
            images, labels = (source[name][batch["index"]] for name in ("images", "labels"))
            batch = {**batch, "image": images, "label": labels}
        keys = example_keys(state, AUGMENTATION, batch["position"])
        source = {**source, "label": batch["label"]}
        return {**batch, "image": augment(batch["image"], keys, source)}

    return prepare
