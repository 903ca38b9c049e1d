"""Tasks: their splits, what reaches the network, and networks compiled once."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import tasks
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.datasets import Dataset, Split, load
from cnnjax.run.cells import grid
from cnnjax.run.config import InputError, to_json
from cnnjax.run.record import Record
from cnnjax.tasks.trained import PIPELINES
from cnnjax.train.config import TrainConfig

CONFIG = TrainConfig(steps=2, batch_size=8, learning_rate=1e-2)


class Reads(nn.Module):
    """Logits of a class that stands in the first pixel: correct on every honest label."""

    classes: int = 3

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, ())
        return 10 * scale * jax.nn.one_hot(jnp.round(x[:, 0, 0, 0]).astype(int), self.classes)


class Learns(nn.Module):
    """Logistic regression."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x.reshape(len(x), -1))


def split(count, first, wrong=0):
    """Images whose first pixel is their class, the second their number; labels off by `wrong`."""
    labels = np.arange(count) % 3
    images = np.zeros((count, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = labels
    images[:, 0, 1, 0] = first + np.arange(count)
    return Split(images, ((labels + wrong) % 3).astype(np.int32))


def place(images):
    return jnp.asarray(images, jnp.float32)


def augment(images, keys, source):
    return place(images) + source["offset"]


def made(train_wrong=0, validation_wrong=0, test_wrong=0):
    dataset = Dataset(
        "made",
        "1.0.0",
        split(24, 0, train_wrong),
        split(6, 200, validation_wrong),
        split(9, 100, test_wrong),
        3,
        ("a", "b", "c"),
        "",
    )
    return tasks.Task(dataset, augment, augment, place, {"offset": 0.0})


@pytest.mark.parametrize("poisoned", ["train", "validation", "test"])
def test_a_split_is_scored_with_its_own_labels(poisoned):
    task = made(**{f"{poisoned}_wrong": 1})
    network = task.network(Reads(), CONFIG)
    state = network.initial(0)
    for name in ("train", "validation", "test"):
        assert network.accuracy(state, name) == (0.0 if name == poisoned else 1.0)
    # By default it is the test split.
    assert network.accuracy(state) == (0.0 if poisoned == "test" else 1.0)
    assert network.evaluate(state)["count"] == 9
    assert network.evaluate(state, repeats=2)["count"] == 18


def test_each_example_is_correct_or_not_and_their_mean_is_the_accuracy():
    """Two batches of 8, the second filled up; averaged parameters, like those of `accuracy`."""
    task = made()
    labels = task.test.labels.copy()
    labels[[0, 8]] = (labels[[0, 8]] + 1) % 3
    wrong = task.on(test=Split(task.test.images, labels))
    network = wrong.network(Reads(), dataclasses.replace(CONFIG, ema_decay=0.9))
    state = network.initial(0)
    state = state.replace(params=jax.tree.map(lambda leaf: -leaf, state.params))
    found = network.correct(state)
    np.testing.assert_array_equal(found, [0, *7 * [1], 0])
    assert found.mean() == network.accuracy(state)
    # The same program on other examples.
    again = task.network(Reads(), network.training.config)
    np.testing.assert_array_equal(again.correct(state), np.ones(9))
    np.testing.assert_array_equal(network.correct(state, "train"), np.ones(24))
    moved = network.correct(state, offset=1.0)
    assert moved.mean() == network.accuracy(state, offset=1.0) < 0.5


def test_values_of_the_source_reach_the_network_and_others_are_refused():
    network = made().network(Reads(), CONFIG)
    state = network.initial(0)
    assert network.accuracy(state, offset=1.0) < 0.5
    with pytest.raises(ValueError, match=r"must be one of \['offset'\], got 'ofset'"):
        network.accuracy(state, ofset=1.0)


def test_what_is_no_split():
    task = made()
    with pytest.raises(ValueError, match=r"must be one of \['train', 'validation', 'test'\], got"):
        task.split("valid")


def test_batches_are_of_the_training_examples_and_depend_on_seed_and_step():
    task = made()
    drawn = {
        (seed, step): task.train_batch(seed, step, 8)["index"].tolist()
        for seed in (0, 1)
        for step in (0, 1)
    }
    assert len({tuple(each) for each in drawn.values()}) == 4
    for seed in (0, 1):
        epoch = np.concatenate([task.train_batch(seed, step, 8)["index"] for step in range(3)])
        assert sorted(epoch) == list(range(24))


def test_a_network_is_compiled_once_for_equal_models():
    task = made()
    first = task.network(Reads(), CONFIG)
    assert task.network(Reads(), CONFIG) is first
    assert task.network(Learns(), CONFIG).training is not first.training
    assert (
        task.network(Reads(), dataclasses.replace(CONFIG, steps=3)).training is not first.training
    )


def test_the_same_pipeline_on_other_examples_is_compiled_once():
    task = made()
    network = task.network(Reads(), CONFIG)
    other = task.on(test=split(9, 100, wrong=1))
    again = other.network(Reads(), CONFIG)
    assert again.training is network.training
    assert (network.accuracy(network.initial(0)), again.accuracy(again.initial(0))) == (1.0, 0.0)
    changed = dataclasses.replace(task, augment=lambda images, keys, source: place(images))
    assert changed.network(Reads(), CONFIG).training is not network.training


@pytest.mark.parametrize(
    "build",
    [
        lambda: tasks.on_canvas("digits"),
        lambda: tasks.rotated("digits"),
        lambda: tasks.resized("digits"),
        lambda: tasks.resized("digits", size=8, from_disk=True),
        lambda: tasks.distorted_crops("digits"),
        lambda: tasks.digits_on_grey(Augmentation(), Augmentation(), train_digits=1198),
    ],
)
def test_every_pipeline_has_the_validation_images_of_its_data_set(build):
    task, stored = build(), load("digits")
    for name in ("train", "validation", "test"):
        examples, expected = task.split(name), getattr(stored, name)
        assert len(examples) == {"train": 1198, "validation": 239, "test": 360}[name]
        images, labels = examples.read(np.arange(len(examples)))
        np.testing.assert_array_equal(images, expected.images)
        np.testing.assert_array_equal(labels, expected.labels)
    assert task.facts()["validation_examples"] == 239


def test_a_number_of_validation_images_is_part_of_the_description():
    task = tasks.resized("digits", validation_images=40)
    assert (len(task.train), len(task.validation)) == (1397, 40)
    again = tasks.resized(**task.description["arguments"])
    np.testing.assert_array_equal(again.validation.images, task.validation.images)


def test_seeds_begin_differently():
    network = made().network(Learns(), CONFIG)
    kernels = [network.initial(seed).params["Dense_0"]["kernel"] for seed in (0, 1, 0)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    np.testing.assert_array_equal(kernels[0], kernels[2])


def test_predictions_are_those_of_averaged_parameters_on_test_images():
    network = made().network(Reads(), dataclasses.replace(CONFIG, ema_decay=0.9))
    state = network.initial(0)
    wrong = jax.tree.map(lambda leaf: -leaf, state.params)
    state = state.replace(params=wrong)
    found, labels = tasks.predictions(network, state)
    assert (found.argmax(1) == labels).all()
    np.testing.assert_array_equal(labels, network.task.test.labels)
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-6)


def test_a_function_of_a_network_is_compiled_once():
    network, calls = made().network(Reads(), CONFIG), []

    def first_logit(model, variables, images):
        calls.append(model)
        return model.apply(variables, images)[0]

    state = network.initial(0)
    for _ in range(2):
        found = network.compute(first_logit, state.variables, place(network.task.test.images))
        assert isinstance(found, np.ndarray)
        assert found.tolist() == [10, 0, 0]
    assert calls == [network.model]
    assert network.function("__call__") is network.function("__call__")


def test_what_a_network_costs():
    network = made().network(Learns(), CONFIG)
    assert network.parameters == 4 * 3 + 3
    assert network.multiply_adds == 4 * 3


def test_a_network_that_does_not_fit_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"Conv does not take images of \(2, 2, 1\)"):
        made().network(nn.Conv(2, (3, 3, 3, 3)), CONFIG)
    with pytest.raises(InputError, match=r"must have shape \(2, 3\), got \(2, 5\)"):
        made().check_logits(Reads(classes=5))
    with pytest.raises(InputError, match=r"must be a multiple of the 4 devices, got 6; 4 would do"):
        made().network(Reads(), dataclasses.replace(CONFIG, batch_size=6))


def test_a_batch_beyond_the_memory_is_refused_before_it_is_begun(monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__)
    with pytest.raises(InputError, match=r"must be at most 256,000, .* got 1,000,000,000\."):
        made().network(Learns(), dataclasses.replace(CONFIG, batch_size=10**9))
    made().network(Learns(), dataclasses.replace(CONFIG, batch_size=256_000))


def test_a_canvas_is_standardised_by_the_first_thousand_training_images():
    task = tasks.on_canvas("digits")
    seen = np.asarray(task.place(task.train.images[:1000]), np.float64)
    assert seen.mean() == pytest.approx(0, abs=1e-5)
    assert seen.std() == pytest.approx(1, abs=1e-5)
    assert task.shape == (24, 24, 1)


@pytest.mark.parametrize(
    "task",
    [
        tasks.on_canvas("digits"),
        tasks.rotated("digits"),
        tasks.resized("digits", size=12),
        tasks.distorted_crops("digits"),
        tasks.textured_digits(train_images=40, test_images=20),
    ],
    ids=lambda task: task.description["pipeline"],
)
def test_no_image_is_in_two_splits_and_a_task_is_built_again_from_its_description(task):
    def keys(examples):
        return {image.tobytes() for image in examples.images}

    assert not keys(task.train) & keys(task.test)
    assert len(task.train) >= 2 * len(task.test)
    description = task.description
    assert to_json(description) == description
    again = PIPELINES[description["pipeline"]](**description["arguments"])
    assert again.facts() == task.facts()
    images = task.test.images[:3]
    np.testing.assert_array_equal(again.place(images), task.place(images))


def test_augmentation_is_of_training_alone():
    task = tasks.distorted_crops("digits")
    images = task.train.images[:4]
    keys = jax.random.split(jax.random.key(0), 4)
    source = dict(task.defaults)
    augment, augment_test = jax.jit(task.augment), jax.jit(task.augment_test)
    plain = np.asarray(augment_test(images, keys, source))
    np.testing.assert_allclose(plain, jax.jit(task.place)(images), atol=1e-6)
    assert np.abs(augment(images, keys, source) - plain).max() > 0.1
    first, second = (
        np.asarray(augment(images, jax.random.split(jax.random.key(seed), 4), source))
        for seed in (1, 2)
    )
    assert np.abs(first - second).max() > 0.1


def test_rotations_fill_the_circle_in_training_and_are_given_in_evaluation():
    """A bar from the centre to the right edge: where its far end goes tells the angle."""
    task = tasks.rotated("digits", canvas=16)
    images = np.zeros((400, 8, 8, 1), np.uint8)
    images[:, 3:5, 4:] = 255
    keys = jax.random.split(jax.random.key(0), 400)

    def angles(x):
        x = np.asarray(x)[..., 0]
        x = x - x.min()
        rows, columns = np.mgrid[:16, :16] - 7.5
        mass = x.sum((1, 2))
        return np.arctan2(-(x * rows).sum((1, 2)) / mass, (x * columns).sum((1, 2)) / mass)

    augment, augment_test = jax.jit(task.augment), jax.jit(task.augment_test)
    turned = angles(augment(images, keys, {"largest_angle": 2 * np.pi, "angle": 0.0}))
    share = np.histogram(turned, 4, (-np.pi, np.pi))[0] / 400
    np.testing.assert_allclose(share, 0.25, atol=0.08)
    half = angles(augment(images, keys, {"largest_angle": np.pi, "angle": 0.0}))
    assert ((half > -0.15) | (half < -np.pi + 0.15)).all()
    given = angles(augment_test(images, keys, {"largest_angle": 1.0, "angle": np.pi / 2}))
    np.testing.assert_allclose(given, np.pi / 2, atol=0.05)
    np.testing.assert_allclose(
        augment_test(images, keys, {"largest_angle": 1.0, "angle": 0.0}),
        jax.jit(task.place)(images),
        atol=1e-5,
    )


def test_evaluation_does_not_augment_as_training_does():
    task = dataclasses.replace(made(), augment=lambda images, keys, source: place(images) + 1)
    network = task.network(Reads(), CONFIG)
    assert network.accuracy(network.initial(0)) == 1.0
    assert network.accuracy(network.initial(0), "train") == 1.0


def test_every_seed_trains_a_network_of_its_own(tmp_path):
    record = Record.open(tmp_path, CONFIG)
    network = made().network(Learns(), CONFIG)
    states = {cell["seed"]: network.train(record, cell) for cell in grid({"seed": (0, 1)})}
    assert [int(state.seed) for state in states.values()] == [0, 1]
    assert [int(state.step) for state in states.values()] == [2, 2]
    kernels = [state.params["Dense_0"]["kernel"] for state in states.values()]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    losses = {line["network"]: line["loss"] for line in record.read_metrics()}
    assert losses["seed 0"] != losses["seed 1"]
