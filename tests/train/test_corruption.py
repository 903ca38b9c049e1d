"""Every file of the newest checkpoint, harmed in every way: noticed, or it does not matter."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.state import create_state


def state_of(step):
    state = create_state(linen.Dense(3), optax.adam(0.1), 7, jnp.zeros((1, 2)), ema=True)
    return state.replace(
        step=jnp.int32(step), params=jax.tree.map(lambda x: x + step, state.params)
    )


def truncated(content):
    return content[: len(content) // 2]


def zeroed(content):
    return bytes(len(content))


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def removed(content):
    del content


def equal(a, b):
    same = jax.tree.map(np.array_equal, jax.device_get(a), jax.device_get(b))
    return all(jax.tree.leaves(same))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoints")
    with Checkpoints(directory) as checkpoints:
        for step in (3, 5):
            checkpoints.save(state_of(step), accuracy=0.5)
    return directory


@pytest.mark.parametrize("harm", [truncated, zeroed, flipped, removed])
def test_what_is_restored_is_always_one_of_the_two_states(original, tmp_path, harm, capsys):
    files = sorted(p.relative_to(original) for p in (original / "5").rglob("*") if p.is_file())
    assert len(files) >= 10
    noticed = set()
    for number, file in enumerate(files):
        directory = tmp_path / str(number)
        shutil.copytree(original, directory)
        content = harm((directory / file).read_bytes())
        (directory / file).unlink()
        if content is not None:
            (directory / file).write_bytes(content)
        left = len([path for path in directory.rglob("*") if path.is_file()])
        with Checkpoints(directory) as checkpoints:
            restored = checkpoints.restore(state_of(0))
        said = capsys.readouterr().out
        step = int(restored.step)
        assert equal(restored, state_of(step)), file
        assert step == (3 if said else 5), file
        assert len([path for path in directory.rglob("*") if path.is_file()]) >= left, file
        if said:
            noticed.add(file.name)
            assert said == (
                f"Checkpoint 5 cannot be read and is now {directory / '5.broken-1'}; 3 is taken.\n"
            )
    # Where the numbers themselves are: those must be noticed.
    assert {"metadata"} <= noticed
    assert any(file.parent.name == "d" and file.name in noticed for file in files)
