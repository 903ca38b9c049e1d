"""Batches assembled inside the compiled step: which examples, and which keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from cnnjax.train.config import TrainConfig
from cnnjax.train.parallel import augmented
from cnnjax.train.training import compile_training, evaluate

IMAGES = np.arange(16, dtype=np.uint8).reshape(16, 1, 1, 1)
LABELS = np.arange(16, dtype=np.int32) % 2
SOURCE = {"images": IMAGES, "labels": LABELS}
POSITION = np.arange(16, dtype=np.int32)


class Threshold(linen.Module):
    """Class 1 where the only pixel is positive: correct or not as the augmentation draws."""

    @linen.compact
    def __call__(self, image):
        value = image.reshape(len(image)) + self.param("offset", linen.initializers.zeros, ())
        return jnp.stack([-value, value], -1)


def random_sign(images, keys, source):
    """Noise, a pixel an image, by its key alone."""
    del source
    return jax.vmap(lambda key: jax.random.normal(key, (1, 1, 1)))(keys) + 0.0 * images


BATCHES = {
    "indices": {"index": POSITION, "position": POSITION},
    "images": {"image": IMAGES, "label": LABELS, "position": POSITION},
}


@pytest.mark.parametrize("kind", BATCHES)
def test_evaluation_draws_the_same_at_every_seed_and_step(kind):
    """Predictions follow the keys alone, of which 16 random ones hardly agree by chance."""
    training = compile_training(
        Threshold(),
        TrainConfig(steps=2, batch_size=16),
        augmented(random_sign),
        augmented(random_sign, deterministic=True),
    )
    batches = [{**BATCHES[kind], "weight": np.ones(16, np.float32)}]
    found = []
    for seed, step in ((0, 0), (1, 0), (0, 7), (3, 5)):
        state = training.init(seed, np.zeros((1, 1, 1, 1), np.float32))
        state = state.replace(step=jnp.asarray(step, jnp.int32))
        found.append(evaluate(training, state, batches, SOURCE))
    assert found == [found[0]] * 4
    assert 0 < found[0]["accuracy"] < 1


@pytest.mark.parametrize("kind", BATCHES)
def test_only_keys_in_evaluation_leave_seed_and_step_out(kind):
    training = compile_training(Threshold(), TrainConfig(steps=2, batch_size=16))
    state = training.init(0, np.zeros((1, 1, 1, 1), np.float32))
    others = [state.replace(seed=state.seed + 1), state.replace(step=state.step + 1)]

    def images(deterministic, state):
        prepared = augmented(random_sign, deterministic=deterministic)
        return prepared(jax.tree.map(jnp.asarray, SOURCE), BATCHES[kind], state)["image"]

    for other in others:
        np.testing.assert_array_equal(images(True, state), images(True, other))
        assert not np.any(images(False, state) == images(False, other))
    assert len(np.unique(images(True, state))) == 16


def test_examples_are_taken_by_their_index():
    prepared = augmented(lambda images, keys, source: images / source["scale"])
    training = compile_training(Threshold(), TrainConfig(steps=2, batch_size=16))
    state = training.init(0, np.zeros((1, 1, 1, 1), np.float32))
    source = {"scale": 2.0, "images": jnp.asarray(IMAGES), "labels": jnp.asarray(LABELS)}
    index = np.array([5, 0, 15])
    found = prepared(source, {"index": index, "position": index, "weight": np.ones(3)}, state)
    np.testing.assert_array_equal(found["image"].ravel(), [2.5, 0, 7.5])
    np.testing.assert_array_equal(found["label"], [1, 0, 1])
    np.testing.assert_array_equal(found["weight"], np.ones(3))


@pytest.mark.parametrize("kind", BATCHES)
def test_an_augmentation_sees_the_labels_of_its_examples(kind):
    prepared = augmented(lambda images, keys, source: images + source["label"][:, None, None, None])
    training = compile_training(Threshold(), TrainConfig(steps=2, batch_size=16))
    state = training.init(0, np.zeros((1, 1, 1, 1), np.float32))
    found = prepared(jax.tree.map(jnp.asarray, SOURCE), BATCHES[kind], state)
    np.testing.assert_array_equal(found["image"].ravel(), IMAGES.ravel() + LABELS)
