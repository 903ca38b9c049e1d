"""Images resized, standardised and augmented."""

import jax
import numpy as np
import pytest

from cnnjax import tasks
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.datasets import Dataset, Split
from cnnjax.run.config import InputError


@pytest.fixture
def coloured(monkeypatch):
    """Training images darker than test images, each channel with a mean and std of its own."""
    random = np.random.default_rng(0)

    def split(count, offset):
        scale = np.array([10, 20, 30])
        images = offset + scale * random.normal(size=(count, 6, 6, 3)) + [0, 20, 40]
        return Split(np.clip(images, 0, 255).astype(np.uint8), np.zeros(count, np.int32))

    made = Dataset(
        "made", "1.0.0", split(1100, 90), split(200, 40), split(100, 140), 2, ("a", "b"), ""
    )
    monkeypatch.setattr("cnnjax.tasks.images.load", lambda name, data_dir=None, **options: made)
    return made


def test_channels_are_standardised_by_the_first_thousand_training_images(coloured):
    task = tasks.resized("made")
    x = np.asarray(task.place(task.train.images[:1000]), np.float64)
    np.testing.assert_allclose(x.mean((0, 1, 2)), 0, atol=2e-3)
    np.testing.assert_allclose(x.std((0, 1, 2)), 1, atol=2e-3)
    assert np.asarray(task.place(task.test.images)).mean() > 1


def test_weights_of_imagenet_have_its_mean_and_std(coloured):
    task = tasks.resized("made", statistics="imagenet")
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    x = np.asarray(task.place(task.train.images[:10]))
    np.testing.assert_allclose(255 * (mean + std * x), task.train.images[:10], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistics": "imagenet"}, "channels must be 3 for weights of ImageNet, got 1"),
        ({"from_disk": True}, "size must be given for images from disk"),
    ],
)
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(InputError, match=message):
        tasks.resized("digits", **options)


def test_coloured_images_have_their_own_channels(coloured):
    with pytest.raises(InputError, match="channels must be 3, those of made, got 1"):
        tasks.resized("made", channels=1)


def test_training_images_change_with_their_key_and_test_images_do_not(coloured):
    task = tasks.resized("made", size=12, augmentation=Augmentation(translation=0.3))
    images, keys = task.test.images[:3], jax.random.split(jax.random.key(0), 3)
    plain = np.asarray(task.place(images))
    assert plain.shape == (3, 12, 12, 3)
    np.testing.assert_allclose(task.augment_test(images, keys, {}), plain, atol=1e-5)
    augment = jax.jit(task.augment)
    first = np.asarray(augment(images, keys, {}))
    second = np.asarray(augment(images, keys[::-1], {}))
    assert np.abs(first - plain).max() > 0.1
    assert np.abs(first - second).max() > 0.1
