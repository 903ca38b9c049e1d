"""fashion_mnist: 60,000 + 10,000 articles of clothing of 28x28 pixels, from the original files."""

import tensorflow_datasets as tfds

from cnnjax.data.builders import mnist

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip


class Builder(mnist.Builder, skip_registration=True):
    """Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017), records and order those of the stock builder."""

    name = "fashion_mnist"
    VERSION = tfds.core.Version("3.0.1")

    FILES = mnist.idx_files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return self._image_info(
            description="Fashion-MNIST: 28x28 images of articles of clothing, 10 classes.",
            label=tfds.features.ClassLabel(names=list(CLASSES)),
            homepage="https://github.com/zalandoresearch/fashion-mnist",
            citation=(
                "Xiao, H., Rasul, K. and Vollgraf, R. (2017). Fashion-MNIST: a Novel Image Dataset "
                "for Benchmarking Machine Learning Algorithms. arXiv:1708.07747"
            ),
        )
