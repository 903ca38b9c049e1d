"""The loop: one compilation, exact resumption, what stops it, what it writes."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from cnnjax.train import loop
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit
from cnnjax.train.state import AUGMENTATION, example_keys
from cnnjax.train.training import compile_training, evaluate


class Network(linen.Module):
    """Convolution, BatchNorm, dropout, dense."""

    @linen.compact
    def __call__(self, image, train: bool = False):
        # No bias: BatchNorm takes it away, and Adam would walk on its gradient, which is rounding.
        x = linen.Conv(4, (3, 3), use_bias=False)(image)
        x = linen.BatchNorm(use_running_average=not train, axis_name="batch")(x)
        x = linen.Dropout(0.2, deterministic=not train)(linen.relu(x))
        return linen.Dense(3)(x.mean((1, 2)))


SAMPLE = np.zeros((1, 4, 4, 1), np.float32)
CONFIG = TrainConfig(
    steps=8,
    batch_size=8,
    learning_rate=0.05,
    optimizer="adamw",
    weight_decay=0.01,
    ema_decay=0.8,
    log_every=2,
    eval_every=3,
    checkpoint_every=4,
)


def make_source(scale=1.0):
    random = np.random.default_rng(1)
    return {
        "images": random.integers(0, 256, (20, 4, 4, 1), dtype=np.uint8),
        "labels": random.integers(0, 3, 20).astype(np.int32),
        "scale": scale,
    }


def take(source, batch, state):
    noise = jax.vmap(lambda key: jax.random.normal(key, (4, 4, 1)))(
        example_keys(state, AUGMENTATION, batch["position"])
    )
    image = source["images"][batch["index"]] / 255.0 + 0.1 * source["scale"] * noise
    return {**batch, "image": image, "label": source["labels"][batch["index"]]}


def make_batch(seed, step):
    random = np.random.default_rng((seed, step))
    return {
        "index": random.integers(0, 20, 8).astype(np.int32),
        "position": np.arange(8, dtype=np.int32),
    }


def evaluation_batches():
    for start in (0, 8, 16):
        position = np.arange(start, start + 8, dtype=np.int32)
        index = np.minimum(position, 19)
        yield {"index": index, "position": position, "weight": np.float32(position < 20)}


@pytest.fixture(scope="module")
def training():
    return compile_training(Network(), CONFIG, take, take)


def run(training, state, batch=make_batch, **options):
    """The state after `fit`, and all that it wrote."""
    lines = []
    done = fit(
        training,
        state,
        batch,
        make_source(),
        evaluate=lambda s: evaluate(training, s, evaluation_batches(), make_source()),
        write=lambda step, values: lines.append((step, values)),
        quiet=True,
        **options,
    )
    return done.state, lines


def assert_identical(a, b):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


@pytest.fixture(scope="module")
def unbroken(training):
    return run(training, training.init(5, SAMPLE))


@pytest.mark.fast
def test_one_trace_for_all_steps_seeds_and_numbers():
    traces = {"train": 0, "eval": 0}

    def counted(name):
        def prepare(*arguments):
            traces[name] += 1
            return take(*arguments)

        return prepare

    counting = compile_training(Network(), CONFIG, counted("train"), counted("eval"))
    losses = set()
    for seed in (0, 1):
        for scale in (0, 1.5, np.float32(3), jnp.float32(4)):
            held = make_source(float(scale) if isinstance(scale, int) else scale)
            state = counting.init(seed, SAMPLE)
            done = fit(counting, state, make_batch, held, quiet=True)
            losses.add(evaluate(counting, done.state, evaluation_batches(), held)["loss"])
    assert len(losses) == 8
    assert traces == {"train": 1, "eval": 1}
    # The counter counts: another batch size is another trace.
    half = {k: v[:4] for k, v in make_batch(0, 0).items()}
    evaluate(counting, done.state, [{**half, "weight": np.ones(4, np.float32)}], held)
    assert traces == {"train": 1, "eval": 2}


def test_the_given_state_stays_usable_and_as_it_was(training):
    state = training.init(0, SAMPLE)
    before = jax.device_get(state)
    done, _ = run(training, state)
    assert_identical(state, before)
    assert int(done.step) == 8


def test_what_is_written(unbroken):
    _, lines = unbroken
    trained = {"loss", "total_loss", "accuracy", "gradient_norm", "learning_rate"}
    evaluated = {"eval_loss", "eval_accuracy", "eval_count"}
    assert [(step, set(values)) for step, values in lines] == [
        (2, trained),
        (3, evaluated),
        (4, trained),
        (6, trained),
        (6, evaluated),
        (8, trained),
        (8, evaluated),
    ]
    assert all(values["eval_count"] == 20 for _, values in lines if "eval_count" in values)
    # The cosine after 1 of 8 steps, that is at the second update.
    assert lines[0][1]["learning_rate"] == pytest.approx(0.05 * (1 + np.cos(np.pi / 8)) / 2)


@pytest.mark.fast
def test_evaluations_after_doubling_numbers_of_steps():
    steps = range(1, 26)
    assert [step for step in steps if loop._due(step, 3, 25, True)] == [3, 6, 12, 24, 25]
    assert [step for step in steps if loop._due(step, 10, 25)] == [10, 20, 25]
    assert [step for step in steps if loop._due(step, 0, 25, True)] == [25]


def test_resuming_is_exact(training, unbroken, tmp_path):
    # The schedule runs to 8; a run that is killed at 6 has saved 4.
    def killed(seed, step):
        if step == 6:
            raise KeyboardInterrupt
        return make_batch(seed, step)

    with Checkpoints(tmp_path) as checkpoints, pytest.raises(KeyboardInterrupt):
        run(training, training.init(5, SAMPLE), killed, checkpoints=checkpoints)

    again = compile_training(Network(), CONFIG, take, take)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(again.init(99, SAMPLE))
        assert (int(restored.step), int(restored.seed)) == (4, 5)
        state, lines = run(again, restored, checkpoints=checkpoints)
        assert checkpoints.steps() == [4, 8]
    assert_identical(state, unbroken[0])
    assert lines == [line for line in unbroken[1] if line[0] > 4]
    # Control: another seed ends elsewhere.
    other, _ = run(training, training.init(6, SAMPLE))
    assert not np.array_equal(other.params["Dense_0"]["kernel"], state.params["Dense_0"]["kernel"])


def kernel_of(state):
    return {"kernel": float(jax.device_get(state.params["Dense_0"]["kernel"])[0, 0])}


def test_a_monitor_writes_from_step_0_on_and_changes_nothing(training, unbroken, tmp_path):
    started = training.init(5, SAMPLE)
    options = {"monitor": kernel_of, "monitor_every": 3}
    state, lines = run(training, started, **options)
    assert_identical(state, unbroken[0])
    monitored = [line for line in lines if "kernel" in line[1]]
    assert [line for line in lines if line not in monitored] == unbroken[1]
    assert [step for step, _ in monitored] == [0, 3, 6, 8]
    assert (monitored[0][1], monitored[-1][1]) == (kernel_of(started), kernel_of(state))

    # From a checkpoint on the later lines alone, the same ones; from the last one none.
    def killed(seed, step):
        if step == 6:
            raise KeyboardInterrupt
        return make_batch(seed, step)

    with Checkpoints(tmp_path) as checkpoints, pytest.raises(KeyboardInterrupt):
        run(training, started, killed, checkpoints=checkpoints, **options)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(training.init(0, SAMPLE))
        assert int(restored.step) == 4
        _, again = run(training, restored, checkpoints=checkpoints, **options)
        assert again == [line for line in lines if line[0] > 4]
        last = checkpoints.restore(training.init(0, SAMPLE))
    assert run(training, last, **options)[1] == []

    # Lines are written before the checkpoint that comes after them.
    def ending(state):
        if int(jax.device_get(state.step)) == 4:
            raise KeyboardInterrupt
        return kernel_of(state)

    with Checkpoints(tmp_path / "ended") as checkpoints:
        with pytest.raises(KeyboardInterrupt):
            run(training, started, monitor=ending, monitor_every=4, checkpoints=checkpoints)
        assert checkpoints.steps() == []
    # Without an interval before the first step and after the last.
    _, ends = run(training, started, monitor=kernel_of)
    assert [step for step, values in ends if "kernel" in values] == [0, 8]


def test_sigterm_saves_and_exits_and_the_run_goes_on_exactly(training, unbroken, tmp_path):
    def terminated(seed, step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return make_batch(seed, step)

    before = signal.getsignal(signal.SIGTERM)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(SystemExit) as ended:
            run(training, training.init(5, SAMPLE), terminated, checkpoints=checkpoints)
        assert ended.value.code == 143
        assert checkpoints.steps() == [4, 5]
        assert signal.getsignal(signal.SIGTERM) is before
        state, _ = run(training, checkpoints.restore(training.init(0, SAMPLE)))
    assert_identical(state, unbroken[0])


class Exploding(linen.Module):
    """The mean pixel scaled: a loss is finite exactly where the image is."""

    @linen.compact
    def __call__(self, image):
        return linen.Dense(3)(image.mean((1, 2)))


@pytest.mark.fast
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, bad):
    def batch(_, step):
        image = np.ones((8, 4, 4, 1), np.float32)
        image[3] = bad if step == 4 else 1.0  # in the fifth update
        return {"image": image, "label": np.zeros(8, np.int32), "position": np.arange(8)}

    config = TrainConfig(steps=8, batch_size=8, checkpoint_every=2)
    exploding = compile_training(Exploding(), config)
    state = exploding.init(0, SAMPLE)
    with pytest.raises(
        FloatingPointError, match=r"loss is nan at step 5; no checkpoint was saved\."
    ):
        fit(exploding, state, batch, quiet=True)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(FloatingPointError) as stop:
            fit(exploding, state, batch, checkpoints=checkpoints, quiet=True)
        assert str(stop.value) == (
            f"loss is nan at step 5; the last good checkpoint is 4 in {tmp_path}. Most likely to "
            "blame: learning_rate=0.001, gradient_clip=0.0 (off), warmup_steps=0 (none)."
        )
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(checkpoints.restore(state)))


@pytest.mark.fast
@pytest.mark.parametrize("steps", [1, 2])
def test_what_only_the_last_update_breaks_is_neither_kept_nor_praised(tmp_path, steps):
    """The numbers of a step are from before its update: those of an update too far look fine."""

    def batch(_, step):
        image = np.full((8, 4, 4, 1), 1e15 if step == steps - 1 else 0.0, np.float32)
        return {"image": image, "label": np.zeros(8, np.int32), "position": np.arange(8)}

    config = TrainConfig(
        steps=steps,
        batch_size=8,
        optimizer="sgd",
        learning_rate=1e30,
        momentum=0.0,
        checkpoint_every=1,
    )
    training = compile_training(Constant(), config)
    state = training.init(0, SAMPLE)
    kept = "no checkpoint was saved" if steps == 1 else "the last good checkpoint is 1 in"
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(FloatingPointError) as stop:
            fit(training, state, batch, checkpoints=checkpoints, quiet=True)
        assert f"a parameter is not finite after step {steps}; {kept}" in str(stop.value)
        assert checkpoints.steps() == [1][: steps - 1]


class Constant(linen.Module):
    """Logits of zero whatever the image, whose gradient is as large as the image."""

    @linen.compact
    def __call__(self, image):
        slope = self.param("slope", linen.initializers.zeros, (3,))
        return image.mean((1, 2)) * slope[None]


def test_learning_from_plain_batches_without_a_source():
    """Two classes that differ in brightness are told apart after a few updates."""

    def batch(_, step):
        label = np.arange(8, dtype=np.int32) % 2
        image = np.ones((8, 4, 4, 1), np.float32) * (2.0 * label - 1)[:, None, None, None]
        return {"image": image, "label": label, "position": np.arange(8, dtype=np.int32)}

    config = TrainConfig(steps=20, batch_size=8, optimizer="sgd", learning_rate=0.5)
    plain = compile_training(Exploding(), config)
    state = fit(plain, plain.init(0, SAMPLE), batch, quiet=True).state
    given = batch(0, 0)
    scores = evaluate(plain, state, [{**given, "weight": np.ones(8)}])
    assert scores["accuracy"] == 1.0


@pytest.mark.fast
def test_evaluation_counts_every_example_once(training):
    """20 examples in batches of 8: the last one holds 4 examples and 4 fillers."""
    state = training.init(2, SAMPLE)
    held = make_source(scale=0.0)
    scores = evaluate(training, state, evaluation_batches(), held)
    logits = np.float64(
        Network().apply(
            {"params": state.params, "batch_stats": state.batch_stats},
            jnp.float32(held["images"] / 255.0),
        )
    )
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(p[np.arange(20), held["labels"]])
    assert scores["count"] == 20
    assert scores["accuracy"] == (logits.argmax(axis=1) == held["labels"]).mean()
    assert scores["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    # Control: fillers that count would change the numbers.
    wrong = [{**b, "weight": np.ones(8, np.float32)} for b in evaluation_batches()]
    assert evaluate(training, state, wrong, held)["loss"] != pytest.approx(losses.mean(), rel=1e-4)
    with pytest.raises(ValueError, match="the weights of all examples must have a positive sum"):
        evaluate(training, state, [], held)


def test_four_devices_and_many_steps_do_not_lock_up():
    """As a user runs it: virtual devices, no test settings, hundreds of tiny steps."""
    program = """
from cnnjax.run import process
process.configure(devices=4)
import numpy as np
from flax import linen
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit
from cnnjax.train.training import compile_training

training = compile_training(linen.Dense(2), TrainConfig(steps=300, batch_size=8))
image, label = np.ones((8, 3), np.float32), np.ones(8, np.int32)
batch = {"image": image, "label": label, "position": np.arange(8)}
done = fit(training, training.init(0, image), lambda seed, step: batch)
print(int(done.state.step), done.images_per_second > 0)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("step 50/300  loss ")
    assert lines[-1] == "300 True"


def test_a_checkpoint_is_saved_when_the_time_is_up(training, tmp_path, monkeypatch):
    """Every look at the clock is 40 s after the one before: two of them are more than a minute."""
    clock = itertools.count(0, 40)
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    timed = dataclasses.replace(
        training,
        config=dataclasses.replace(
            training.config, checkpoint_every=0, checkpoint_minutes=1.0, log_every=1
        ),
    )
    with Checkpoints(tmp_path, keep=99) as checkpoints:
        run(timed, timed.init(5, SAMPLE), checkpoints=checkpoints)
        steps = checkpoints.steps()
    assert 1 < len(steps) < timed.config.steps
    assert steps[-1] == timed.config.steps
