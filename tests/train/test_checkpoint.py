"""Checkpoints: what is kept, what is refused, and what happens to broken ones."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from cnnjax.run.config import InputError
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.state import create_state


def make_state(step=0, features=3, optimizer=None):
    state = create_state(
        linen.Dense(features),
        optimizer or optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
        7,
        jnp.zeros((1, 2)),
        ema=True,
    )
    shifted = jax.tree.map(lambda x: x + step, state.params)
    return state.replace(step=jnp.int32(step), params=shifted)


def assert_identical(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(a), jax.device_get(b))


def saved(directory, steps, **options):
    with Checkpoints(directory, **options) as checkpoints:
        for step in steps:
            checkpoints.save(make_state(step))


@pytest.mark.fast
def test_a_state_comes_back_bit_by_bit_in_a_new_process_of_the_manager(tmp_path):
    saved(tmp_path, [3])
    with Checkpoints(tmp_path) as checkpoints:
        assert_identical(checkpoints.restore(make_state()), make_state(3))


def test_without_a_checkpoint_the_state_is_the_given_one(tmp_path):
    state = make_state()
    with Checkpoints(tmp_path / "new") as checkpoints:
        assert checkpoints.restore(state) is state
        assert checkpoints.steps() == []


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    accuracies = {1: 0.5, 2: 0.9, 3: None, 4: 0.2, 5: None, 6: 0.9, 7: 0.3, 8: None}
    with Checkpoints(tmp_path) as checkpoints:
        for step, accuracy in accuracies.items():
            checkpoints.save(make_state(step), accuracy=accuracy)
            kept = checkpoints.steps()
            assert kept[-1] == step  # the newest is never the one that goes
        assert kept[-2:] == [7, 8]
        assert len(kept) == 3
        assert accuracies[kept[0]] == 0.9


def test_saving_below_what_is_there_is_refused(tmp_path):
    saved(tmp_path, [3, 5])
    with Checkpoints(tmp_path) as checkpoints:
        for step in (4, 5):
            with pytest.raises(RuntimeError) as refusal:
                checkpoints.save(make_state(step))
            assert str(refusal.value) == (
                f"Checkpoint {step} was not written because {tmp_path} holds steps [3, 5]; "
                "restore them first or take another directory."
            )
    with pytest.raises(ValueError, match="`keep` must be at least 1, got 0"):
        Checkpoints(tmp_path, keep=0)


def tear(directory):
    for file in directory.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(directory):
    shutil.rmtree(directory)
    directory.mkdir()


def change_a_value(directory):
    """Well-formed files that hold other numbers than were saved: orbax itself does not notice."""
    state = make_state(5)
    changed = state.replace(params=jax.tree.map(lambda x: x + 1e-6, state.params))
    other = directory.parent / "other"
    with Checkpoints(other) as checkpoints:
        checkpoints.save(changed)
    shutil.rmtree(directory / "state")
    shutil.move(other / "5" / "state", directory / "state")
    shutil.rmtree(other)


@pytest.mark.parametrize("harm", [tear, empty, change_a_value])
def test_a_broken_newest_checkpoint_falls_back_to_the_one_before(tmp_path, harm, capsys):
    saved(tmp_path, [3, 5])
    harm(tmp_path / "5")
    with Checkpoints(tmp_path) as checkpoints:
        assert_identical(checkpoints.restore(make_state()), make_state(3))
        assert capsys.readouterr().out == (
            f"Checkpoint 5 cannot be read and is now {tmp_path / '5.broken-1'}; 3 is taken.\n"
        )
        # The run reaches the step again, saves it, and is harmed again.
        checkpoints.save(make_state(5))
        assert checkpoints.steps() == [3, 5]
        assert_identical(checkpoints.restore(make_state()), make_state(5))
        harm(tmp_path / "5")
        assert_identical(checkpoints.restore(make_state()), make_state(3))
        assert (tmp_path / "5.broken-1").exists()
        assert (tmp_path / "5.broken-2").exists()


def test_checkpoints_of_every_so_many_steps_stay_for_good(tmp_path):
    saved(tmp_path, range(1, 10), keep_every=4)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [4, 8, 9]


def test_nothing_readable_is_an_error_not_a_fresh_start(tmp_path):
    saved(tmp_path, [3, 5])
    for step in ("3", "5"):
        empty(tmp_path / step)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=r"None of the checkpoints \[3, 5\] in .* can be read"),
    ):
        checkpoints.restore(make_state())
    assert {path.name for path in tmp_path.iterdir()} == {"3", "5"}  # a second try says it again


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"features": 4}, "it has ema_params.bias float32[3], the run has it float32[4]."),
        (
            {"optimizer": optax.sgd(0.1)},
            "it has opt_state.1.0.count int32[], the run has it not at all.",
        ),
    ],
)
def test_another_network_or_optimizer_is_refused_and_nothing_is_touched(tmp_path, other, sentence):
    saved(tmp_path, [3])
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(ValueError) as refusal:
            checkpoints.restore(make_state(**other))
        assert sentence in str(refusal.value)
        assert checkpoints.steps() == [3]


def test_a_checkpoint_of_release_0_1_0_restores(tmp_path):
    """Written by cnnjax 0.1.0: `Checkpoints(...).save(state, accuracy=0.5)` of this state."""

    def counted(leaf):
        return np.arange(leaf.size).reshape(leaf.shape).astype(leaf.dtype)

    expected = jax.tree.map(counted, make_state()).replace(step=np.int32(3))
    witness = Path(__file__).parent / "checkpoints" / "0.1.0"
    shutil.copytree(witness, tmp_path, dirs_exist_ok=True)
    with Checkpoints(tmp_path) as checkpoints:
        assert_identical(checkpoints.restore(make_state()), expected)


def test_a_full_disk_is_said_and_the_last_good_checkpoint_survives(tmp_path):
    """On a file system of its own, of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        saved(disk, [3])
        with open(disk / "other", "wb") as other, contextlib.suppress(OSError):
            while True:
                os.write(other.fileno(), b"x" * 4096)
        # In another process: what orbax leaves of it asks its writing thread, when it is collected,
        # whether it lives, in Python 3.11 a deadlock where another thread is about to start.
        code = "import pathlib, sys; from tests.train import test_checkpoint as here; "
        code += "here.saved(pathlib.Path(sys.argv[1]), [5])"
        done = subprocess.run(
            [sys.executable, "-c", code, str(disk)],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 1
        said = f"OSError: [Errno 28] No space left on device: '{disk}'"
        assert said in done.stderr.splitlines(), done.stderr
        (disk / "other").unlink()
        with Checkpoints(disk) as checkpoints:
            assert_identical(checkpoints.restore(make_state()), make_state(3))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
