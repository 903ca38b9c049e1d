"""cifar10: 50,000 + 10,000 photographs of 32x32 pixels in 10 classes, from the binary archive."""

import tarfile
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from cnnjax.data.downloads import File, fetch

PIXELS = 3 * 32 * 32  # bytes of one image: red plane, green plane, blue plane


def read_records(content: bytes, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Split one of CIFAR's binary files (Krizhevsky, 2009) into labels and images.

    Returns uint8 labels [n, num_labels] and images [n, 32, 32, 3].

    Args:
      content: the file; every record is `num_labels` bytes of labels, then 3,072 of pixels.
      num_labels: 1 for CIFAR-10, 2 (coarse, fine) for CIFAR-100.
    """
    records = np.frombuffer(content, np.uint8).reshape(-1, num_labels + PIXELS)
    images = records[:, num_labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return records[:, :num_labels], np.ascontiguousarray(images)


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """CIFAR-10 (Krizhevsky, 2009), its records those of the stock builder, in the same order.

    The feature `id` holds the place in the original files.
    """

    name = "cifar10"
    VERSION = tfds.core.Version("3.0.2")

    FILES = (
        File(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    )
    FOLDER = "cifar-10-batches-bin"
    TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
    TEST = ("test_batch.bin",)
    # The labels of a record in their order, and the file with the names of each one's classes.
    LABELS = (("label", 10, "batches.meta.txt"),)
    DESCRIPTION = (
        "CIFAR-10: 60,000 colour photographs of 32x32 pixels, 6,000 of each of 10 classes."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(32, 32, 3))
        features = {"id": tfds.features.Text(), "image": image}
        for key, classes, _ in self.LABELS:
            features[key] = tfds.features.ClassLabel(num_classes=classes)
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
            citation=(
                "Krizhevsky, A. (2009). Learning multiple layers of features from tiny images. "
                "Technical report, University of Toronto."
            ),
        )

    def _split_generators(self, dl_manager):
        (archive,) = fetch(self.FILES, Path(dl_manager.download_dir) / self.name)
        contents = {}
        with tarfile.open(archive) as files:
            for member in files:
                folder, name = Path(member.name).parent.name, Path(member.name).name
                content = files.extractfile(member)
                if folder == self.FOLDER and content is not None:
                    contents[name] = content.read()
        for key, _, names in self.LABELS:
            self.info.features[key].names = contents[names].decode().split()
        return {
            split: self._generate_examples(split, [contents[name] for name in names])
            for split, names in (("train", self.TRAIN), ("test", self.TEST))
        }

    def _generate_examples(self, split, contents):
        keys = [key for key, _, _ in self.LABELS]
        index = 0
        for content in contents:
            for labels, image in zip(*read_records(content, len(keys)), strict=True):
                example = {"id": f"{split}_{index:05d}", "image": Image.fromarray(image)}
                yield index, example | dict(zip(keys, map(int, labels), strict=True))
                index += 1
