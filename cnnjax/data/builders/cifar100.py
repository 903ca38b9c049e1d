"""cifar100: 50,000 + 10,000 photographs of 32x32 pixels in 100 classes, from the binary archive."""

import tensorflow_datasets as tfds

from cnnjax.data.builders import cifar10
from cnnjax.data.downloads import File


class Builder(cifar10.Builder, skip_registration=True):
    """CIFAR-100 (Krizhevsky, 2009), `label` its fine classes; records and order as stock."""

    name = "cifar100"
    VERSION = tfds.core.Version("3.0.2")

    FILES = (
        File(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
    )
    FOLDER = "cifar-100-binary"
    TRAIN = ("train.bin",)
    TEST = ("test.bin",)
    LABELS = (
        ("coarse_label", 20, "coarse_label_names.txt"),
        ("label", 100, "fine_label_names.txt"),
    )
    DESCRIPTION = (
        "CIFAR-100: 60,000 colour photographs of 32x32 pixels, 600 in each of 100 classes, "
        "which form 20 coarse classes."
    )
