"""Networks of a run, loaded again with their data from what the run wrote."""

import dataclasses
import functools
import json

import flax.linen as nn
import jax
import numpy as np
import pytest

from cnnjax import tasks
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.run.config import InputError, StudyConfig
from cnnjax.run.record import Record
from cnnjax.tasks import trained
from cnnjax.train.config import TrainConfig

PIPELINES = {
    "on_canvas": functools.partial(tasks.on_canvas, "digits", canvas=20, fill="zero"),
    "at_right_angles": functools.partial(tasks.at_right_angles, "digits", size=6),
    "digits_on_grey": functools.partial(
        tasks.digits_on_grey,
        Augmentation(noise=0.1),
        (Augmentation(rotation=9.0),),
        train_digits=20,
    ),
    "distorted_crops": functools.partial(tasks.distorted_crops, "digits"),
    "in_quadrants": functools.partial(tasks.in_quadrants, "digits"),
    "moved_by_class": functools.partial(tasks.moved_by_class, "digits", margin=0),
    "resized": functools.partial(tasks.resized, "digits", size=6, channels=3),
    "rotated": functools.partial(tasks.rotated, "digits", canvas=16),
    "textured_digits": functools.partial(tasks.textured_digits, train_images=9, test_images=5),
    "upright_or_rotated": functools.partial(tasks.upright_or_rotated, "digits", digit=3),
}


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    train: TrainConfig = TrainConfig(steps=2, batch_size=8, learning_rate=0.1, ema_decay=0.5)


def run_of(task, directory, model):
    """Train a network for each seed; returns the states by the networks' names."""
    config = Config()
    record = Record.open(directory, config)
    network = task.network(model, config.train)
    states = {}
    for cell in record.each(seed=(0, 1)):
        states[cell.name] = network.train(record, cell)
        record.observe(cell, steps=int(states[cell.name].step))
    record.release()
    return states


class Classifies(nn.Module):
    """Logits, of every pixel or of the image."""

    pixels: bool = False

    @nn.compact
    def __call__(self, x):
        return nn.Dense(11 if self.pixels else 10)(x if self.pixels else x.mean((1, 2)))


def test_every_pipeline_is_one_that_a_run_may_name():
    assert set(PIPELINES) == set(trained.PIPELINES)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_network_comes_back_with_averaged_weights_and_its_data(name, tmp_path):
    task = PIPELINES[name]()
    model = Classifies(pixels=name == "textured_digits")
    states = run_of(task, tmp_path / "run", model)
    assert tasks.input_shape(tmp_path / "run", "seed 1") == task.shape
    again = tasks.load_task(tmp_path / "run", "seed 1")
    assert again.description == task.description
    assert again.facts() == task.facts()
    x = again.place(again.test.images[:2])
    np.testing.assert_array_equal(x, task.place(task.test.images[:2]))
    if name != "textured_digits":  # whose class is not where a file may name one
        found = tasks.load_trained(tmp_path / "run", x, network="seed 1", trust=(PATH,))
        assert found.model == model
        state = states["seed 1"]
        jax.tree.map(
            np.testing.assert_array_equal, found.variables["params"], dict(state.ema_params)
        )
        kernels = [each["Dense_0"]["kernel"] for each in (found.variables["params"], state.params)]
        assert np.abs(np.subtract(*kernels)).max() > 0
        assert found.weights.startswith("trained, step 2 of")
        assert "seed_1" in found.weights


PATH = f"{Classifies.__module__}:Classifies"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained") / "run"
    run_of(PIPELINES["resized"](), directory, Classifies())
    return directory


def described(run, tmp_path, **changed):
    """A run like this one, whose networks are described otherwise."""
    directory = tmp_path / "changed"
    (directory / "networks").mkdir(parents=True)
    for file in (run / "networks").iterdir():
        text = json.dumps(json.loads(file.read_text()) | changed)
        (directory / "networks" / file.name).write_text(text)
    return directory


def test_a_study_that_makes_its_own_data_is_named(run, tmp_path):
    with pytest.raises(InputError, match=r"got none: the study makes its own data\."):
        tasks.load_task(described(run, tmp_path, task=None), "seed 0")


def test_a_pipeline_that_is_not_there_any_more_is_named(run, tmp_path):
    task = {"pipeline": "folded", "arguments": {}}
    with pytest.raises(InputError, match=r"must be one of \['on_canvas', .*, got 'folded'"):
        tasks.load_task(described(run, tmp_path, task=task), "seed 0")


def test_the_data_may_be_elsewhere_now(run, tmp_path, monkeypatch):
    calls = []

    @functools.wraps(tasks.resized)
    def resized(**arguments):
        calls.append(arguments)
        return tasks.resized(**{**arguments, "data_dir": None})

    monkeypatch.setitem(trained.PIPELINES, "resized", resized)
    task = {"pipeline": "resized", "arguments": {"data": "digits", "data_dir": "/then", "size": 6}}
    directory = described(run, tmp_path, task=task)
    tasks.load_task(directory, "seed 0")
    tasks.load_task(directory, "seed 0", "/now")
    assert [each["data_dir"] for each in calls] == ["/then", "/now"]
    assert [each["size"] for each in calls] == [6, 6]


def test_a_network_must_be_named_where_there_are_several(run):
    for name in (None, "seed 2"):
        with pytest.raises(InputError, match=rf"must be one of 'seed 0', 'seed 1', got {name!r}"):
            tasks.input_shape(run, name)


def test_code_is_imported_only_if_it_is_trusted(run):
    x = np.zeros((1, 6, 6, 3), np.float32)
    with pytest.raises(InputError, match=f"whose code would be imported: give --trust {PATH}"):
        tasks.load_trained(run, x, network="seed 0")


def test_a_name_is_a_model_or_a_run(run, tmp_path):
    assert tasks.is_run(str(run))
    assert not tasks.is_run("PlainNet")
    for name in (str(tmp_path), "runs/nowhere"):
        with pytest.raises(InputError, match="must be the directory of a run"):
            tasks.is_run(name)


def test_a_model_gets_the_arguments_that_it_needs():
    assert tasks.make_model("ConvNet").classes == 10
    assert tasks.make_model("ResNet18").classes == 1000
    assert tasks.make_model("ResNet18", classes=7).classes == 7
    with pytest.raises(InputError, match="perhaps you meant 'ConvNet'"):
        tasks.make_model("ConvNit")
