"""digits: the 1,797 handwritten 8x8 digits that come with scikit-learn."""

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from cnnjax.data.builders import mnist

TEST_EVERY = 5


def test_mask(labels: np.ndarray) -> np.ndarray:
    """Mask of the test examples, bool [n]: every fifth when examples are ordered by class.

    Of the 1,797 examples these are 360, each class in proportion. The order within a class is that
    of scikit-learn, so the split is the same on every machine.
    """
    mask = np.zeros(len(labels), bool)
    mask[np.argsort(labels, kind="stable")[::TEST_EVERY]] = True
    return mask


class Builder(mnist.Builder, skip_registration=True):
    """1,437 examples to train and 360 to test, in scikit-learn's order; 0..16 becomes 0..255."""

    name = "digits"
    VERSION = tfds.core.Version("1.0.0")
    FILES = ()

    def _info(self) -> tfds.core.DatasetInfo:
        return self._image_info(
            description=(
                "1,797 handwritten digits of 8x8 pixels: the test set of the UCI data set Optical "
                "Recognition of Handwritten Digits, as scikit-learn ships it. Values 0..16 are "
                "stored as round(value * 255 / 16). Ordered by class, every fifth example is for "
                "testing."
            ),
            label=tfds.features.ClassLabel(num_classes=10),
            shape=(8, 8, 1),
            homepage="https://archive.ics.uci.edu/dataset/80",
            citation=(
                "Alpaydin, E. and Kaynak, C. (1998). Optical Recognition of Handwritten Digits. "
                "UCI Machine Learning Repository."
            ),
            license="CC BY 4.0",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        test = test_mask(digits.target)
        return {
            "train": self._generate_examples(images[~test], digits.target[~test]),
            "test": self._generate_examples(images[test], digits.target[test]),
        }
