"""Distortions of the CIFAR-10 tutorial: within its limits, and none in evaluation."""

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import tasks
from cnnjax.tasks.cifar_tutorial import CROP, SIDE, distorted, standardised


def test_distortions_stay_within_the_tutorials_limits():
    ramp = jnp.broadcast_to(jnp.arange(float(SIDE))[None, :, None] * 3, (SIDE, SIDE, 1))
    keys = jax.random.split(jax.random.key(0), 300)
    found = np.asarray(jax.jit(jax.vmap(lambda key: distorted(ramp, key)))(keys))
    assert found.shape == (300, CROP, CROP, 1)
    steps = np.diff(found, axis=2)
    # One step of the ramp is 3: factors from 0.2 to 1.8, forwards or mirrored.
    assert 0.59 < np.abs(steps).min() < 0.7
    assert 5.2 < np.abs(steps).max() < 5.41
    assert 100 < (steps[:, 0, 0, 0] < 0).sum() < 200
    # Without contrast the middle of a crop lies between 3 * 11.5 and 3 * 19.5.
    middles = found.mean((1, 2, 3))
    assert 34.5 - 63 <= middles.min() < -15
    assert 110 < middles.max() <= 58.5 + 63


def test_standardising_leaves_a_uniform_image_finite():
    x = jnp.full((4, 4, 1), 7.0)
    np.testing.assert_array_equal(standardised(x), jnp.zeros_like(x))
    noise = jnp.asarray(np.random.default_rng(0).normal(3, 5, (8, 8, 1)), jnp.float32)
    np.testing.assert_allclose(standardised(noise).std(), 1, rtol=1e-5)


def test_evaluation_takes_the_middle_of_each_image():
    task = tasks.distorted_crops("digits")
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 1)).astype(np.uint8)
    middle = images[:, 4:28, 4:28].astype(np.float32)
    expected = middle - middle.mean((1, 2, 3), keepdims=True)
    expected /= middle.std((1, 2, 3), keepdims=True)
    keys = jax.random.split(jax.random.key(0), 2)
    for found in (task.place(images), task.augment_test(images, keys, {})):
        np.testing.assert_allclose(found, expected, atol=1e-4)
