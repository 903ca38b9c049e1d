"""rotated_mnist: MNIST digits, each rotated by its own random angle; made from mnist."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from cnnjax.data import storage

SEED = 20070620


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """12,000 examples to train and 50,000 to test, after Larochelle et al. (2007).

    The pool is all of mnist, put in an order that depends on its contents alone (so that it does
    not matter who prepared mnist) and permuted; every image is rotated counter-clockwise about its
    centre by Pillow (bicubic: Keys' kernel with a = -1), zeros outside. The feature `angle` is in
    radians, uniform in [0, 2 pi).

    Args:
      mnist: the prepared mnist; None looks for it in the builder's own `data_dir`.
    """

    name = "rotated_mnist"
    VERSION = tfds.core.Version("1.0.0")

    TRAIN_EXAMPLES = 12_000
    TEST_EXAMPLES = 50_000

    def __init__(self, *, mnist: Path | None = None, **arguments):
        self._mnist = mnist
        super().__init__(**arguments)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "MNIST digits rotated by angles uniform in [0, 2 pi), bicubic, with a fixed seed: "
                "12,000 to train, 50,000 to test."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                    "angle": tfds.features.Scalar(np.float32),
                }
            ),
            supervised_keys=("image", "label"),
            citation=(
                "Larochelle, H., Erhan, D., Courville, A., Bergstra, J. and Bengio, Y. (2007). An "
                "empirical evaluation of deep architectures on problems with many factors of "
                "variation. ICML."
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        mnist = self._mnist or storage.find(storage.parse("mnist"), [Path(self.data_dir_root)])
        if mnist is None:
            raise FileNotFoundError(
                f"rotated_mnist is made from mnist, which is not prepared in {self.data_dir_root}."
            )
        train_images, train_labels = storage.read(mnist, "train")
        test_images, test_labels = storage.read(mnist, "test")
        images = np.concatenate([train_images, test_images])
        labels = np.concatenate([train_labels, test_labels])
        needed = self.TRAIN_EXAMPLES + self.TEST_EXAMPLES
        if len(images) < needed:
            raise ValueError(
                f"rotated_mnist needs {needed} examples of mnist, but {mnist} holds {len(images)}."
            )
        by_content = sorted(range(len(images)), key=lambda i: (labels[i], images[i].tobytes()))
        random = np.random.Generator(np.random.Philox(key=SEED))
        chosen = np.asarray(by_content)[np.argsort(random.random(len(images)), kind="stable")]
        angles = random.random(len(images)) * (2 * np.pi)

        def examples(start, stop):
            picked = chosen[start:stop]
            return self._generate_examples(images[picked], labels[picked], angles[start:stop])

        return {
            "train": examples(0, self.TRAIN_EXAMPLES),
            "test": examples(self.TRAIN_EXAMPLES, needed),
        }

    def _generate_examples(self, images, labels, angles):
        examples = zip(images, labels, angles, strict=True)
        for index, (image, label, angle) in enumerate(examples):
            upright = Image.fromarray(image[..., 0])
            rotated = upright.rotate(np.degrees(angle), resample=Image.Resampling.BICUBIC)
            yield index, {"image": rotated, "label": int(label), "angle": np.float32(angle)}
