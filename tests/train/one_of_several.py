"""One process of a small run: DIRECTORY DEVICES [COORDINATOR PROCESSES PROCESS].

Trains a network with batch normalisation and a moving average, leaves checkpoints, metrics and
results in the directory, and says how it went. With `DIE_AT` in the environment it ends at that
step as if its machine had failed.
"""

import os
import signal
import sys

from cnnjax.run import hosts, process

directory, devices = sys.argv[1], int(sys.argv[2])
process.configure(devices)
if len(sys.argv) > 3:
    print(hosts.initialize(sys.argv[3], int(sys.argv[4]), int(sys.argv[5])), flush=True)

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.run.record import Record
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit
from cnnjax.train.training import compile_training, evaluate


class Network(linen.Module):
    """Convolution, BatchNorm, dropout, dense."""

    @linen.compact
    def __call__(self, image, train: bool = False):
        # Batch normalisation takes a bias away: its gradient is rounding, which Adam would blow up.
        x = linen.Conv(4, (3, 3), use_bias=False)(image)
        x = linen.BatchNorm(use_running_average=not train, axis_name="batch")(x)
        x = linen.Dropout(0.2, deterministic=not train)(linen.relu(x))
        return linen.Dense(3)(x.mean((1, 2)))


def batch(seed, step):
    random = np.random.Generator(np.random.Philox(key=[seed, step]))
    if step + 1 == int(os.environ.get("DIE_AT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    return {
        "image": random.normal(size=(8, 6, 6, 1)).astype(np.float32),
        "label": random.integers(0, 3, 8).astype(np.int32),
        "position": np.arange(8, dtype=np.int32),
    }


config = TrainConfig(
    steps=12, batch_size=8, learning_rate=0.01, ema_decay=0.9, log_every=2, checkpoint_every=4
)
record = Record.open(directory, config, resume=True)
training = compile_training(Network(), config)
state = training.init(3, np.zeros((1, 6, 6, 1), np.float32))
with Checkpoints(record.checkpoints()) as checkpoints:
    state = checkpoints.restore(state)
    record.rewind(int(state.step))

    def write(step, values):
        record.metrics(step, **values)

    done = fit(training, state, batch, write=write, checkpoints=checkpoints, quiet=True)
test = [{**batch(9, 0), "weight": np.ones(8, np.float32)}]
scores = evaluate(training, done.state, test)
sums = [float(jnp.abs(leaf).sum()) for leaf in jax.tree.leaves(done.state.params)]
record.results({"scores": scores, "sums": sums})
record.finish()
print(f"done on {jax.device_count()} devices", flush=True)
