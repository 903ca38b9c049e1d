"""Images moved by class: which ones, how far, and that nothing is compiled again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import symmetry, tasks


@pytest.fixture(scope="module")
def task():
    return tasks.moved_by_class("digits", margin=8)


@pytest.fixture(scope="module")
def move(task):
    return jax.jit(task.augment)


IMAGES = 64


def examples(task, **values):
    images, labels = task.train.read(np.arange(IMAGES))
    keys = jax.random.split(jax.random.key(0), IMAGES)
    return images, keys, {**task.defaults, "label": labels, **values}


def test_the_canvas_leaves_the_margin(task):
    assert task.shape == (32, 32, 1)
    assert tasks.moved_by_class("digits", margin=5).shape == (32, 32, 1)
    assert tasks.moved_by_class("digits", margin=4).shape == (24, 24, 1)


def test_nothing_moves_by_default(task, move):
    images, keys, source = examples(task)
    found = np.asarray(move(images, keys, source))
    np.testing.assert_allclose(found, task.place(images), atol=1e-6)
    np.testing.assert_allclose(found[:, :8], 0, atol=1e-6)
    assert found.std() == pytest.approx(1, rel=0.1)


def test_only_the_named_classes_are_translated_uniformly_and_apart(task, move):
    moved = np.isin(np.arange(10), (2, 7, 9))
    images, keys, source = examples(task, translation=2, moved=moved)
    found, still = (np.asarray(x) for x in (move(images, keys, source), task.place(images)))
    seen = []
    for image, rest, label in zip(found, still, source["label"], strict=True):
        shifts = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
        fits = [
            each for each in shifts if np.allclose(np.roll(rest, each, (0, 1)), image, atol=1e-5)
        ]
        assert len(fits) == 1
        if moved[label]:
            seen += fits
        else:
            assert fits == [(0, 0)]
    assert {y for y, _ in seen} == {x for _, x in seen} == {-2, -1, 0, 1, 2}
    assert len({y == x for y, x in seen}) == 2  # the axes do not move as one


def test_only_the_named_classes_are_rotated_both_ways(task, move):
    moved = np.arange(10) < 5
    largest = np.deg2rad(40)
    images, keys, source = examples(task, angle=largest, moved=moved)
    found, still = (np.asarray(x) for x in (move(images, keys, source), task.place(images)))
    angles = np.deg2rad(np.arange(-60, 61, 2))
    rotate = jax.jit(jax.vmap(symmetry.rotate, (None, 0, None)))
    nearest = []
    for image, rest, label in zip(found, still, source["label"], strict=True):
        if moved[label]:
            every = np.asarray(rotate(rest, jnp.asarray(angles, jnp.float32), 0.0))
            nearest.append(np.rad2deg(angles[((every - image) ** 2).sum((1, 2, 3)).argmin()]))
        else:
            np.testing.assert_allclose(image, rest, atol=1e-6)
    assert min(nearest) < -25
    assert max(nearest) > 25
    assert np.abs(nearest).max() <= 41
    # What lies outside is black, not grey.
    assert found.min() == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found[:, 0, 0], 0, atol=1e-6)


def test_evaluation_moves_alike(task):
    assert task.augment is task.augment_test
