"""Does a run that was killed end like one that was not?

A small network with batch normalisation, dropout and a moving average learns noise, augmented
at random; two seeds, one after the other. The observations hold digests of everything that training
changes.
"""

from __future__ import annotations

import dataclasses
import hashlib

from cnnjax.run.config import CheckedConfig, Distinct, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax
    import numpy as np
    from flax import linen

    from cnnjax import report, tasks
    from cnnjax.data import datasets


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """How long to train, and how often to evaluate and to save."""

    seeds: Distinct[Seed] = (0, 1)
    """Seeds; one network is trained for each."""
    dropout_rate: float = 0.3
    """Share of the activations that is dropped; the masks depend on the number of devices."""
    train: TrainConfig = TrainConfig(
        steps=24,
        batch_size=8,
        learning_rate=0.01,
        ema_decay=0.9,
        log_every=2,
        eval_every=6,
        checkpoint_every=4,
    )
    """How to train."""


PRESETS = {"smoke": Config(seeds=(0,))}


def run(config: Config, record: Record) -> None:
    """Train, and observe digests of the states."""
    task = noise()
    network = task.network(small_network(config.dropout_rate), config.train)
    for cell in record.each(seed=config.seeds):
        state = network.train(record, cell, evaluate=network.evaluate)
        record.observe(
            cell,
            digest={
                field.name: digest(getattr(state, field.name))
                for field in dataclasses.fields(state)
            },
            kernels=np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)]),
        )
    page(record.observations(), record)


def page(found: Observations, record: Record) -> None:
    """Write the digests."""
    record.results({"rows": found.results()})
    report.write_page(record, __doc__, [found.to_csv()])


def digest(tree) -> int:
    """48 bits of the SHA-256 of all arrays of a tree."""
    content = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree))
    return int.from_bytes(hashlib.sha256(content).digest()[:6])


def noise() -> tasks.Task:
    """Random images with random labels, augmented by noise."""

    def place(images):
        return images / 255.0

    def augment(images, keys, source):
        more = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)
        return place(images) + 0.1 * more

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 6, 6, 1)).astype(np.uint8)
    split = datasets.Split(images, random.integers(0, 3, 40).astype(np.int32))
    dataset = datasets.Dataset("noise", "1.0.0", split, split, split, 3, ("a", "b", "c"), "")
    return tasks.Task(dataset, augment, augment, place)


def small_network(dropout_rate: float) -> linen.Module:
    """A convolution, batch normalisation, dropout and a readout."""

    class Small(linen.Module):
        @linen.compact
        def __call__(self, x, train=False):
            # Batch normalisation takes a bias away: its gradient is nothing but rounding.
            x = linen.Conv(4, (3, 3), use_bias=False)(x)
            x = linen.BatchNorm(use_running_average=not train, axis_name="batch")(x)
            x = linen.Dropout(dropout_rate, deterministic=not train)(linen.relu(x))
            return linen.Dense(3)(x.mean((1, 2)))

    return Small()
