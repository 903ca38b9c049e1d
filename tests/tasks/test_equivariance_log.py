"""Equivariance while training: which network keeps what, on which images, and after a kill."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import tasks
from cnnjax.data.datasets import Dataset, Split
from cnnjax.layers import Conv, GroupConv, LiftingConv, LocalConv
from cnnjax.layers.conversion import standard_to_tiled, tiled_to_local
from cnnjax.run.cells import grid
from cnnjax.run.config import InputError, read_json
from cnnjax.run.metrics import EquivarianceLog, logged_errors
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

CONFIG = TrainConfig(
    steps=6, batch_size=8, learning_rate=0.05, log_every=1, eval_every=2, checkpoint_every=2
)
LOG = EquivarianceLog(every=2, transformations=("shift2", "rotate90"), images=4)
(CELL,) = grid({"seed": 3})


class Strided(nn.Module):
    """A circular convolution with stride 2, and logits that know of no place."""

    conv: Callable[..., nn.Module] = Conv

    @nn.compact
    def __call__(self, x):
        x = self.conv(3, (3, 3), strides=(2, 2), padding="CIRCULAR", name="conv")(x)
        return nn.Dense(3, name="head")(nn.relu(x).mean((1, 2)))


class Rotations(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(LiftingConv(2, 3, padding="CIRCULAR", name="lift")(x))
        x = nn.relu(GroupConv(2, 3, padding="CIRCULAR", name="group")(x))
        return nn.Dense(3, name="head")(x.mean((1, 2, 3)))


class Pixels(nn.Module):
    """A dense layer, which tells on which images it is."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, name="head")(x.reshape(len(x), -1))


def split(count, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 6, 6, 1), dtype=np.uint8)
    return Split(images, random.integers(0, 3, count).astype(np.int32))


def place(images):
    return jnp.asarray(images, jnp.float32) / 128 - 1


def made():
    def augment(images, keys, source):
        return place(images)

    names = ("a", "b", "c")
    dataset = Dataset("noise", "1.0.0", split(24, 0), split(5, 2), split(9, 1), 3, names, "")
    return tasks.Task(dataset, augment, augment, place)


def trained(directory, model, log=LOG, *, start=None, task=None, config=CONFIG, **options):
    """The lines of metrics.jsonl but for the clock's, and the final state."""
    network = (task or made()).network(model, config)
    if start is not None:
        network = network.starting_from(start(network.initial(CELL["seed"]).params))
    record = Record.open(directory, config, resume=True)
    record = dataclasses.replace(record, equivariance=log)
    try:
        state = network.train(record, CELL, **options)
    finally:
        record.release()
    lines = record.read_metrics()
    return [{k: v for k, v in line.items() if k != "wall_time"} for line in lines], state


def errors(lines):
    """Errors before and after training by transformation and layer."""
    found = logged_errors(lines)["seed 3"]
    assert {tuple(c["steps"]) for each in found.values() for c in each.values()} == {(0, 2, 4, 6)}
    return {
        (transformation, layer): (curve["values"][0], curve["values"][-1])
        for transformation, layers in found.items()
        for layer, curve in layers.items()
    }


def test_shared_weights_keep_shifts_by_the_stride_and_separate_ones_lose_them(tmp_path):
    found = errors(trained(tmp_path / "shared", Strided())[0])
    assert set(found) == {
        (name, layer) for name in LOG.transformations for layer in ("conv", "head", "")
    }
    for layer in ("conv", "head", ""):
        assert max(found["shift2", layer]) < 1e-6
        assert min(found["rotate90", layer]) > 1e-3

    # The control: each place with a copy of one kernel, which training tears apart.
    def copied(params):
        shared = jax.tree.map(lambda bank: bank[0, 0], params["conv"])
        tied = tiled_to_local(standard_to_tiled(shared, 1), (3, 3))
        return {"params": {**params, "conv": tied}}

    found = errors(trained(tmp_path / "separate", Strided(LocalConv), start=copied)[0])
    for layer in ("conv", "head", ""):
        before, after = found["shift2", layer]
        assert before < 1e-6
        assert after > 1e-2


def test_a_group_convolution_keeps_rotations(tmp_path):
    lines, state = trained(tmp_path, Rotations())
    for layer in ("lift", "group", "head", ""):
        assert max(errors(lines)["rotate90", layer]) < 1e-5
    # It did learn.
    before = made().network(Rotations(), CONFIG).initial(3).params["lift"]["kernel"]
    assert np.abs(np.asarray(state.params["lift"]["kernel"]) - np.asarray(before)).max() > 0.01


def test_without_a_log_nothing_changes(tmp_path):
    lines, state = trained(tmp_path / "with", Strided())
    without, same = trained(tmp_path / "without", Strided(), EquivarianceLog())
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), jax.device_get(same))
    assert without == [line for line in lines if "loss" in line]
    assert len(lines) == len(without) + 4
    (file,) = (tmp_path / "without" / "networks").iterdir()
    assert "equivariance" not in read_json(file)


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_run_that_was_killed_logs_the_same_lines(killed_after, tmp_path):
    """Before the first checkpoint, which is the second evaluation's, and after it."""
    config = dataclasses.replace(CONFIG, eval_every=1, checkpoint_every=2)
    calls = []

    def evaluate(state):
        calls.append(int(jax.device_get(state.step)))
        if len(calls) == killed_after:
            raise KeyboardInterrupt
        return {"accuracy": 0.5}

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", Strided(), config=config, evaluate=evaluate)
    lines, state = trained(tmp_path / "killed", Strided(), config=config, evaluate=evaluate)
    whole, same = trained(
        tmp_path / "whole", Strided(), config=config, evaluate=lambda state: {"accuracy": 0.5}
    )
    assert lines == whole
    assert len(errors(lines)) == 6
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), jax.device_get(same))


def test_errors_are_on_the_first_validation_images(tmp_path):
    task = made()
    log = EquivarianceLog(every=6, transformations=("flip",), images=3)
    config = dataclasses.replace(CONFIG, ema_decay=0.9)
    lines, state = trained(tmp_path, Pixels(), log, task=task, config=config)
    x = np.asarray(place(task.validation.images[:3]), np.float64).reshape(3, 6, 6)
    params = jax.tree.map(np.float64, jax.device_get(state.ema_params["head"]))

    def logits(images):
        return images.reshape(3, -1) @ params["kernel"] + params["bias"]

    expected = np.linalg.norm(logits(x[:, :, ::-1]) - logits(x)) / np.linalg.norm(logits(x))
    assert lines[-1]["equivariance.flip.head"] == pytest.approx(expected, rel=1e-4)
    (file,) = (tmp_path / "networks").iterdir()
    assert read_json(file)["equivariance"] == {"images": 3, "split": "validation"}


def test_images_that_do_not_take_a_transformation(tmp_path):
    log = EquivarianceLog(every=1, transformations=("shift6",))
    with pytest.raises(InputError, match="shorter than the image of 6 x 6, got 'shift6'"):
        trained(tmp_path, Strided(), log)
    assert not (tmp_path / "metrics.jsonl").exists()
