"""Digits on grey: which they are, and when they are moved."""

import jax
import numpy as np

from cnnjax.data.augmentation import augment
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.datasets import load
from cnnjax.tasks import digits_on_grey

MOVES = tuple(
    Augmentation(rotation=15.0, translation=0.08, rescale=1.15, shear=10.0, fill=fill)
    for fill in (0.5, 0.0)
)


augmented = jax.jit(augment, static_argnums=2)


def test_digits_are_the_first_of_the_training_digits_and_all_test_digits():
    task = digits_on_grey(Augmentation(), MOVES, train_digits=50)
    stored = load("digits")
    np.testing.assert_array_equal(task.train.images, stored.train.images[:50])
    np.testing.assert_array_equal(task.train.labels, stored.train.labels[:50])
    np.testing.assert_array_equal(task.test.images, stored.test.images)
    np.testing.assert_array_equal(task.test.labels, stored.test.labels)
    test = {image.tobytes() for image in task.test.images}
    assert len(digits_on_grey(Augmentation(), MOVES).train) == len(stored.train)
    assert not any(image.tobytes() in test for image in task.train.images)


def test_test_digits_are_moved_only_when_asked():
    task = digits_on_grey(Augmentation(noise=1.0), MOVES, train_digits=50)
    images = task.test.images[:4]
    keys = jax.random.split(jax.random.key(0), 4)
    augment_test = jax.jit(task.augment_test)
    still = augment_test(images, keys, {"moved": np.array(task.defaults["moved"])})
    np.testing.assert_array_equal(still, jax.jit(task.place)(images))
    moved = np.asarray(augment_test(images, keys, {"moved": np.array(1)}))
    assert (np.abs(moved - still).max((1, 2, 3)) > 0.1).all()
    # White ink on grey, grey beyond the border as well.
    assert 0.499 < moved.min() < 0.501 < 0.9 < moved.max() < 1.001
    np.testing.assert_allclose(moved, augmented(still, keys, MOVES[0]), atol=1e-6)
    # The same moves, and zeros beyond the border.
    others = np.asarray(augment_test(images, keys, {"moved": np.array(2)}))
    np.testing.assert_allclose(others, augmented(still, keys, MOVES[1]), atol=1e-6)
    assert others.min() == 0
    inside = others > 0.5
    np.testing.assert_allclose(others[inside], moved[inside], atol=1e-6)


def test_training_digits_are_augmented_on_a_background_of_any_grey():
    changes = Augmentation(rotation=30.0, fill=0.2)
    task = digits_on_grey(changes, MOVES, train_digits=5, grey=0.2)
    images, keys = task.train.images, jax.random.split(jax.random.key(1), 5)
    still = task.place(images)
    assert (float(still.min()), float(still.max())) == (np.float32(0.2), 1)
    seen = jax.jit(task.augment)(images, keys, {})
    np.testing.assert_allclose(seen, augmented(still, keys, changes), atol=1e-6)
    assert np.abs(seen - still).max() > 0.1
