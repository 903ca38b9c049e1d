"""Digits with few test images, for studies whose numbers on them are not what a test is about."""

import pytest

from cnnjax.data import storage

TEST_IMAGES = 40
"""Of the 360: four of each class, on average."""


@pytest.fixture(scope="module")
def few_test_images():
    """Every data set that is read into memory has its first `TEST_IMAGES` test images alone."""
    read = storage.read

    def read_few(path, split):
        images, labels = read(path, split)
        return (images[:TEST_IMAGES], labels[:TEST_IMAGES]) if split == "test" else (images, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "read", read_few)
        yield
