"""The training loop: update, evaluate, save."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from cnnjax.run import hosts
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.parallel import replicate, shard
from cnnjax.train.progress import Progress, Throughput
from cnnjax.train.state import TrainState
from cnnjax.train.stops import Diverged, Terminated, ending_after_the_step
from cnnjax.train.training import Training


@dataclasses.dataclass(frozen=True)
class Fit:
    """What `fit` leaves: the last state, and images/s without compilation and evaluation.

    `images_per_second` is None where fewer than two steps ran.
    """

    state: TrainState
    images_per_second: float | None


def fit(
    training: Training,
    state: TrainState,
    batch: Callable[[int, int], dict[str, np.ndarray]],
    source: Any = None,
    *,
    evaluate: Callable[[TrainState], dict[str, float]] | None = None,
    write: Callable[[int, dict[str, float]], None] | None = None,
    monitor: Callable[[TrainState], dict[str, float]] | None = None,
    monitor_every: int = 0,
    checkpoints: Checkpoints | None = None,
    quiet: bool = False,
) -> Fit:
    """Train from `state.step` to `config.steps` updates; the given state stays usable.

    A run from a restored state gives the numbers of a run that was never stopped, bit by bit.
    A step is counted from 1: step k is the k-th update, and a checkpoint k comes after it.

    Args:
      training: the compiled functions.
      state: where to begin, from `training.init` or `Checkpoints.restore`.
      batch: `batch(seed, step)`, a pure function, gives batch number `step`, counted from 0, of the
        run with that seed: what `prepare` takes, or 'image', 'label' and 'position'.
      source: what `prepare` takes examples from; placed on the devices once.
      evaluate: numbers of a state, every `eval_every` steps and after the last, or as
        `eval_doubling` says; its 'accuracy'
        says which checkpoint is best. The state is its only for the call.
      write: `write(step, values)` takes the numbers of a step, every `log_every` steps and after
        the last: 'loss', 'accuracy', 'gradient_norm' and 'learning_rate' of that step's batch, with
        weight decay 'total_loss'; and those of `evaluate`, under names that begin with 'eval_'.
      monitor: further numbers of a state to write, under their own names: before the first step, as
        step 0, every `monitor_every` steps and after the last. NaN is no reason to stop.
      monitor_every: steps between two calls of `monitor`; 0: before the first and after the last.
      checkpoints: where to save every `checkpoint_every` steps, every `checkpoint_minutes`, and
        after the last step.
      quiet: show no progress.

    Raises:
      Diverged: the loss, the gradient, or what is to be evaluated or saved is not finite.
      Terminated: SIGTERM came; a checkpoint was saved. Of several processes, all stop at one step.
    """
    config, devices = training.config, training.devices
    seed, start = int(state.seed), int(state.step)
    # A copy, because the step uses its state up.
    state = replicate(state, devices, copy=True)
    source = replicate(source, devices)
    throughput = Throughput(config.batch_size)

    def read(step: int, metrics: dict[str, jax.Array]) -> None:
        host = {name: float(value) for name, value in jax.device_get(metrics).items()}
        throughput.step()
        values = {
            "loss": host["loss"] / host["count"],
            "accuracy": host["correct"] / host["count"],
            "gradient_norm": host["gradient_norm"],
            "learning_rate": host["learning_rate"],
        }
        if "total_loss" in host:
            values["total_loss"] = host["total_loss"]
        for name in ("loss", "gradient_norm"):
            if not math.isfinite(values[name]):
                raise _diverged(f"{name} is {values[name]} at step {step}", checkpoints, config)
        speed = throughput.images_per_second
        progress.step(step, values["loss"], values["accuracy"], speed)
        if write is not None and _due(step, config.log_every, config.steps):
            write(step, values)

    def evaluated(step: int, state: TrainState) -> dict[str, float]:
        if evaluate is None:
            return {}
        scores = evaluate(state)
        listed = "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
        progress.line(f"evaluation after step {step:,}: {listed}")
        if write is not None:
            write(step, {f"eval_{name}": value for name, value in scores.items()})
        return scores

    def monitored(step: int, state: TrainState) -> None:
        if monitor is not None and write is not None:
            write(step, monitor(state))

    with (
        Progress(config.steps, config.batch_size, config.log_every, quiet=quiet) as progress,
        _termination() as terminated,
    ):
        unread = []
        saved_at = time.monotonic()
        if start == 0:
            monitored(0, state)
        for step in range(start + 1, config.steps + 1):
            inputs = shard(batch(seed, step - 1), devices)
            state, metrics = training.train_step(state, source, inputs)
            unread.append((step, metrics))
            stopping = terminated(step)
            monitoring = monitor is not None and _due(step, monitor_every, config.steps)
            evaluating = _due(step, config.eval_every, config.steps, config.eval_doubling)
            saving = stopping or _due(step, config.checkpoint_every, config.steps)
            if config.checkpoint_minutes > 0 and step % config.log_every == 0:
                since = time.monotonic() - saved_at
                saving |= hosts.agree(lambda late=since: late > 60 * config.checkpoint_minutes)
            pausing = evaluating or monitoring or saving
            # One step is read while the next one runs; more than two calls in flight dead-lock
            # virtual CPU devices.
            while len(unread) > (0 if pausing else 1):
                read(*unread.pop(0))
            if pausing:
                # A step's numbers are from before its update; what is kept must be finite after it.
                if not _finite(state):
                    raise _diverged(
                        f"a parameter is not finite after step {step}", checkpoints, config
                    )
                with throughput.pause():
                    scores = evaluated(step, state) if evaluating else {}
                    if monitoring:
                        monitored(step, state)
                    if saving and checkpoints is not None:
                        checkpoints.save(state, accuracy=scores.get("accuracy"))
                        saved_at = time.monotonic()
            if stopping:
                progress.line(f"Terminated at step {step}; {_last_good(checkpoints)}.")
                raise Terminated
    if checkpoints is not None:
        checkpoints.wait()
    return Fit(state, throughput.images_per_second)


def _due(step: int, every: int, last: int, doubling: bool = False) -> bool:
    """Whether it is the last step or a multiple of `every`, `doubling`: times a power of two."""
    if step == last or every == 0:
        return step == last
    times, rest = divmod(step, every)
    return rest == 0 and (not doubling or times.bit_count() == 1)


@jax.jit
def _all_finite(tree: Any) -> jax.Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def _finite(state: TrainState) -> bool:
    """Whether parameters and statistics are finite, on this process's first device."""
    kept = (state.params, state.batch_stats, state.ema_params)
    return bool(_all_finite(jax.tree.map(lambda leaf: leaf.addressable_data(0), kept)))


def _diverged(what: str, checkpoints: Checkpoints | None, config: TrainConfig) -> Diverged:
    return Diverged(
        f"{what}; {_last_good(checkpoints)}. Most likely to blame: {_suspects(config)}."
    )


def _last_good(checkpoints: Checkpoints | None) -> str:
    if checkpoints is None or not checkpoints.steps():
        return "no checkpoint was saved"
    return f"the last good checkpoint is {checkpoints.steps()[-1]} in {checkpoints.directory}"


def _suspects(config: TrainConfig) -> str:
    """The fields of the configuration that make training diverge, with their values."""
    suspects = [f"learning_rate={config.learning_rate}"]
    if config.gradient_clip == 0:
        suspects.append("gradient_clip=0.0 (off)")
    if config.warmup_steps == 0:
        suspects.append("warmup_steps=0 (none)")
    if config.bfloat16:
        suspects.append("bfloat16=True")
    if config.optimizer == "sgd" and config.momentum > 0:
        suspects.append(f"momentum={config.momentum}")
    return ", ".join(suspects)


@contextlib.contextmanager
def _termination() -> Generator[Callable[[int], bool]]:
    """Whether SIGTERM asks to stop after this step: of several processes, all after the same."""
    if hosts.are_several():
        yield multihost_utils.reached_preemption_sync_point
        return
    with ending_after_the_step() as asked:
        yield lambda step: asked.is_set()
