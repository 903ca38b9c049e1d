"""Images in several poses: which, how often, and with which class."""

import numpy as np
import pytest

from cnnjax import tasks
from cnnjax.data.datasets import Dataset, Split
from cnnjax.run.config import InputError


def split(seed, count):
    """Images of 2 x 2 pixels, no two alike, and classes 0, 1, 2, 0, ..."""
    images = np.random.default_rng(seed).permutation(256)[: 4 * count].reshape(-1, 2, 2, 1)
    return Split(images.astype(np.uint8), np.arange(count, dtype=np.int32) % 3)


MADE = Dataset("made", "1.0.0", split(0, 60), split(1, 6), split(2, 9), 3, ("a", "b", "c"), "")


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    monkeypatch.setattr("cnnjax.tasks.images.load", lambda *given, **options: MADE)


def rotated(image, times):
    """An image of 2 x 2 pixels rotated counter-clockwise, by hand."""
    for _ in range(times):
        (a, b), (c, d) = image
        image = np.array([[b, d], [a, c]])
    return image


def test_each_image_of_the_digit_is_there_upright_and_rotated_in_every_split():
    task = tasks.upright_or_rotated("made", digit=1)
    assert (task.classes, task.dataset.class_names) == (2, ("b", "b rotated by 180 degrees"))
    for name in ("train", "validation", "test"):
        stored, found = getattr(MADE, name), task.split(name)
        images = stored.images[stored.labels == 1]
        np.testing.assert_array_equal(found.labels, [0] * len(images) + [1] * len(images))
        for image, upright, other in zip(images, found.images, found.images[len(images) :]):
            np.testing.assert_array_equal(upright, image)
            np.testing.assert_array_equal(other, rotated(image, 2))
    assert task.facts()["data"] == "made, upright or rotated"


def test_images_at_right_angles_keep_their_class():
    task = tasks.at_right_angles("made")
    assert (task.classes, task.dataset.class_names) == (3, ("a", "b", "c"))
    for name in ("validation", "test"):
        stored, found = getattr(MADE, name), task.split(name)
        np.testing.assert_array_equal(found.labels, np.tile(stored.labels, 4))
        for times, poses in enumerate(np.split(found.images, 4)):
            for image, pose in zip(stored.images, poses, strict=True):
                np.testing.assert_array_equal(pose, rotated(image, times))
    np.testing.assert_array_equal(task.train.labels, MADE.train.labels)
    angles = [
        [times for times in range(4) if (rotated(image, times) == pose).all()]
        for image, pose in zip(MADE.train.images, task.train.images, strict=True)
    ]
    assert all(len(each) == 1 for each in angles)
    assert np.bincount(np.ravel(angles), minlength=4).min() >= 5
    other = tasks.at_right_angles("made", seed=1)
    assert (other.train.images != task.train.images).any()
    np.testing.assert_array_equal(other.test.images, task.test.images)


def test_images_in_quadrants_have_the_class_of_both():
    task = tasks.in_quadrants("made")
    assert task.classes == len(task.dataset.class_names) == 12
    assert task.dataset.class_names[4:7] == ("b, top left", "b, top right", "b, bottom left")
    places = [(0, 0), (0, 2), (2, 0), (2, 2)]
    for quadrant, (row, column) in enumerate(places):
        canvas = np.zeros((9, 4, 4, 1), np.uint8)
        canvas[:, row : row + 2, column : column + 2] = MADE.test.images
        poses = slice(9 * quadrant, 9 * (quadrant + 1))
        np.testing.assert_array_equal(task.test.images[poses], canvas)
        np.testing.assert_array_equal(task.test.labels[poses], 4 * MADE.test.labels + quadrant)
    np.testing.assert_array_equal(task.train.labels // 4, MADE.train.labels)
    for image, label, stored in zip(task.train.images, task.train.labels, MADE.train.images):
        row, column = places[label % 4]
        np.testing.assert_array_equal(image[row : row + 2, column : column + 2], stored)
        assert image.astype(int).sum() == stored.astype(int).sum()
    assert np.bincount(task.train.labels % 4).min() >= 5


def test_images_are_resized_and_standardised_as_those_of_the_data_set():
    task, plain = tasks.at_right_angles("made", size=4), tasks.resized("made", size=4)
    assert task.shape == (4, 4, 1)
    np.testing.assert_array_equal(
        task.place(task.test.images[:9]), plain.place(MADE.test.images)
    )  # fmt: skip


def test_wrong_input_is_named(monkeypatch):
    with pytest.raises(InputError, match=r"digit must be one of the 3 classes of made.*got 3"):
        tasks.upright_or_rotated("made", digit=3)
    oblong = Split(np.zeros((6, 2, 3, 1), np.uint8), np.zeros(6, np.int32))
    made = Dataset("made", "1.0.0", oblong, oblong, oblong, 3, ("a", "b", "c"), "")
    monkeypatch.setattr("cnnjax.tasks.images.load", lambda *given, **options: made)
    with pytest.raises(InputError, match="square images, got made, 2 x 3"):
        tasks.at_right_angles("made")
