"""Does a run that was killed end like one that was not?

A small network with batch normalisation, dropout and a moving average learns noise, augmented
at random; two seeds, one after the other. The results hold digests of everything that training
changes.
"""

import dataclasses
from typing import Any

from cnnjax.train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """How long to train, and how often to look and to save."""

    seeds: tuple[int, ...] = (0, 1)
    """One network is trained for each."""
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


def run(config: Config, record: Any) -> None:
    """Train, and write digests of the states."""
    import hashlib

    import jax
    import numpy as np
    from cnnjax.study import Classification, train_network
    from flax import linen

    from cnnjax.data.datasets import Dataset, Split
    from cnnjax.report.page import Paragraph, write_page

    class Network(linen.Module):
        @linen.compact
        def __call__(self, x, train=False):
            # Batch normalisation takes a bias away: its gradient is nothing but rounding.
            x = linen.Conv(4, (3, 3), use_bias=False)(x)
            x = linen.BatchNorm(use_running_average=not train, axis_name="batch")(x)
            x = linen.Dropout(config.dropout_rate, deterministic=not train)(linen.relu(x))
            return linen.Dense(3)(x.mean((1, 2)))

    def augment(images, keys, source):
        noise = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(keys)
        return place(images) + 0.1 * noise

    def place(images):
        return images / 255.0

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 6, 6, 1)).astype(np.uint8)
    split = Split(images, random.integers(0, 3, 40).astype(np.int32))
    dataset = Dataset("noise", "1.0.0", split, split, 3, ("a", "b", "c"), "")
    task = Classification(dataset, config.train, augment, augment, place)
    training = task.compile(Network())
    digests = {}
    for seed in config.seeds:
        name = f"seed {seed}"
        digest = record.part(name)
        if digest is None:
            print(f"{name} begins", flush=True)
            state = train_network(
                task,
                training,
                seed,
                name,
                record,
                look=lambda state: task.evaluate(training, state),
            ).state
            digest = {
                field.name: hashlib.sha256(
                    b"".join(
                        np.asarray(leaf).tobytes()
                        for leaf in jax.tree.leaves(getattr(state, field.name))
                    )
                ).hexdigest()
                for field in dataclasses.fields(state)
            }
            record.write_part(name, digest)
        digests[name] = digest
    results = record.results({"digests": digests})
    write_page("Small", [Paragraph(str(results))], record.directory)
