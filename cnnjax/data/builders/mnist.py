"""mnist: 60,000 + 10,000 handwritten digits of 28x28 pixels, from the original idx files."""

import gzip
import itertools
import math
import struct
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from cnnjax.data.downloads import File, fetch

UNSIGNED_BYTE = 8  # the idx format's code of its element type


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped idx file (LeCun, 1998).

    Raises:
      ValueError: the file is not idx, or its header promises another number of elements.
    """
    content = gzip.decompress(path.read_bytes())
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise ValueError(
            f"{path} is not an idx file of unsigned bytes: it begins with {content[:4].hex()!r} "
            "where '000008' and the rank should stand."
        )
    rank = content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(
            f"{path} holds {len(content) - start} elements, its header promises {shape}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def idx_files(host: str, *registered: tuple[int, str]) -> tuple[File, ...]:
    """The four files, their sizes and SHA-256: images and labels to train, the same to test."""
    each = zip(itertools.product(("train", "t10k"), ("images-idx3", "labels-idx1")), registered)
    return tuple(File(f"{host}/{'-'.join(part)}-ubyte.gz", *known) for part, known in each)


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """MNIST (LeCun, Cortes, Burges), its records those of the stock builder, in the same order."""

    name = "mnist"
    VERSION = tfds.core.Version("3.0.1")

    FILES = idx_files(
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self._image_info(
            description="The MNIST database of handwritten digits.",
            label=tfds.features.ClassLabel(num_classes=10),
            homepage="http://yann.lecun.com/exdb/mnist/",
            citation=(
                "LeCun, Y., Cortes, C. and Burges, C. J. C. (2010). MNIST handwritten digit "
                "database. http://yann.lecun.com/exdb/mnist/"
            ),
        )

    def _image_info(self, *, label, shape=(28, 28, 1), **texts) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=shape)
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            **texts,
        )

    def _split_generators(self, dl_manager):
        parts = [*map(read_idx, fetch(self.FILES, Path(dl_manager.download_dir) / self.name))]
        return {
            "train": self._generate_examples(*parts[:2]),
            "test": self._generate_examples(*parts[2:]),
        }

    def _generate_examples(self, images, labels):
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": Image.fromarray(image), "label": int(label)}
