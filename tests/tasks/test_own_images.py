"""Data sets of a study's own as tasks: values of the images."""

import numpy as np
import pytest

from cnnjax.data.datasets import Dataset, Split
from cnnjax.tasks import standardised

IMAGES = np.array([[[[0], [51], [255]]]], np.uint8)
SPLIT = Split(IMAGES, np.zeros(1, np.int32))
DATASET = Dataset("mine", "1.0.0", SPLIT, SPLIT, SPLIT, 2, ("a", "b"), "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [0, 0.2, 1]), ({"mean": 0.5, "std": 0.25}, [-2, -1.2, 2])],
)
def test_values_are_standardised_alike_in_training_and_evaluation(options, expected):
    task = standardised(DATASET, **options)
    for seen in (
        task.place(IMAGES),
        task.augment(IMAGES, None, {}),
        task.augment_test(IMAGES, None, {}),
    ):
        np.testing.assert_allclose(np.ravel(seen), expected, rtol=1e-6)


def test_a_std_of_zero_is_an_error():
    with pytest.raises(ValueError, match="`std` must be above 0, got 0"):
        standardised(DATASET, std=0)
