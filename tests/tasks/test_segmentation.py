"""Digits on textured background as a task: which digits, which labels, how standardised."""

import dataclasses

import numpy as np
import pytest

from cnnjax.data.datasets import Dataset, Split, load
from cnnjax.tasks import segmentation, textured_digits


def bars(heights, labels):
    """Digits 4 pixels wide, each of a height of its own."""
    images = np.zeros((len(heights), 8, 8, 1), np.uint8)
    for image, height in zip(images, heights):
        image[:height, 2:6] = 255
    return Split(images, np.array(labels, np.int32))


@pytest.fixture
def stored(monkeypatch):
    """Enlarged, training digits have 4 and 6 rows, those to validate on 8 and 10, to test on 12 and
    14."""
    names = tuple("abcdefghij")
    splits = (bars([low, low + 1, 8], [3, 7, 5]) for low in (2, 4, 6))
    dataset = Dataset("bars", "1.0.0", *splits, 10, names, "nobody")
    monkeypatch.setattr(segmentation, "load", lambda name: dataset)
    return dataset


def heights(labels):
    """Rows with ink of each label, in every cell of 16 x 16 pixels."""
    cells = labels.reshape(-1, 2, 16, 2, 16).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 16)
    return {(int(cell.max()), int(cell.any(1).sum())) for cell in cells if cell.any()}


def test_each_split_is_made_of_its_own_digits_in_the_order_of_the_argument(stored):
    task = textured_digits(train_images=20, test_images=10, digits=(7, 3))
    assert (len(task.train), len(task.validation), len(task.test)) == (20, 10, 10)
    assert heights(task.train.labels) == {(1, 6), (2, 4)}
    assert heights(task.validation.labels) == {(1, 10), (2, 8)}
    assert heights(task.test.labels) == {(1, 14), (2, 12)}
    assert task.classes == 3
    assert task.dataset.class_names == ("background", "h", "d")
    assert task.dataset.citation == "nobody"


def test_splits_are_drawn_differently_even_from_equal_digits(stored, monkeypatch):
    same = dataclasses.replace(stored, validation=stored.train, test=stored.train)
    monkeypatch.setattr(segmentation, "load", lambda name: same)
    task = textured_digits(train_images=20, test_images=20, digits=(3, 7))
    drawn = [
        {image.tobytes() for image in split.images}
        for split in (task.train, task.validation, task.test)
    ]
    assert len(set.union(*drawn)) == sum(map(len, drawn)) == 60


def test_images_are_standardised_by_all_training_images(stored):
    task = textured_digits(train_images=20, test_images=5, digits=(3, 7, 5))
    seen = np.asarray(task.place(task.train.images))
    assert abs(seen.mean()) < 1e-5
    assert abs(seen.std() - 1) < 1e-5
    assert abs(np.asarray(task.place(task.test.images)).mean()) > 1e-3
    for augment in (task.augment, task.augment_test):
        np.testing.assert_allclose(augment(task.train.images, None, {}), seen, atol=1e-6)
    assert task.shape == (32, 32, 1)


def test_stored_digits_make_the_same_task_again():
    task = textured_digits(train_images=4, test_images=3, digits=(4, 7))
    assert task.dataset.class_names == ("background", "4", "7")
    assert task.dataset.version == load("digits").version
    assert task.description == {
        "pipeline": "textured_digits",
        "arguments": {"train_images": 4, "test_images": 3, "digits": [4, 7]},
    }
    again = textured_digits(**task.description["arguments"])
    np.testing.assert_array_equal(task.test.images, again.test.images)
