"""The network of TensorFlow's CIFAR-10 tutorial."""

import functools
from typing import Any, ClassVar

import jax
from flax import linen as nn

from cnnjax.layers import Conv, LocalConv, LocalResponseNorm, MaxPool
from cnnjax.models.blocks import Convolution, ImageNetwork, flatten, square


class CifarTutorial(ImageNetwork):
    """Two convolutions with pooling and normalisation, two layers called local, a classifier.

    The tutorial's code fully connects `local3` and `local4` and keeps their names from its model,
    cuda-convnet's `layers-conv-local-13pct`, where they are locally connected 3x3 windows of 64 and
    32 channels: `locally_connected=True`. For images 24x24x3, cut from 32x32. Parameters at that
    size: 1,068,298, locally connected 2,112,970.
    Source: TensorFlow, Advanced convolutional neural networks (`cifar10.py`), 2015, after
    Krizhevsky, cuda-convnet, 2011.
    """

    image_shape: ClassVar[tuple[int, ...]] = (24, 24, 3)
    classes: int = 10
    conv: Convolution = functools.partial(Conv, kernel_init=nn.initializers.truncated_normal(0.05))
    """Constructor of the two convolutions; called with `bias_init` as well."""
    locally_connected: bool = False
    """Whether `local3` and `local4` are locally connected instead of fully connected."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images `[batch, height, width, 3]` to logits `[batch, classes]`."""
        x = nn.relu(self._convolution(x, "conv1", 0.0))
        x = MaxPool(3, strides=2, padding="SAME", name="pool1")(x)
        x = self._normalization("norm1")(x)
        x = nn.relu(self._convolution(x, "conv2", 0.1))
        x = self._normalization("norm2")(x)
        x = MaxPool(3, strides=2, padding="SAME", name="pool2")(x)
        starts: dict[str, Any] = {
            "kernel_init": nn.initializers.truncated_normal(0.04),
            "bias_init": nn.initializers.constant(0.1),
        }
        if self.locally_connected:
            x = nn.relu(LocalConv(64, (3, 3), name="local3", **starts)(x))
            x = flatten(nn.relu(LocalConv(32, (3, 3), name="local4", **starts)(x)))
        else:
            x = nn.relu(nn.Dense(384, name="local3", **starts)(flatten(x)))
            x = nn.relu(nn.Dense(192, name="local4", **starts)(x))
        start = nn.initializers.truncated_normal(1 / 192)
        return nn.Dense(self.classes, name="softmax_linear", kernel_init=start)(x)

    def _convolution(self, x: jax.Array, name: str, bias: float) -> jax.Array:
        start = nn.initializers.constant(bias)
        return square(self.conv, x, 64, 5, name, padding="SAME", bias_init=start)

    def _normalization(self, name: str) -> nn.Module:
        return LocalResponseNorm(radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75, name=name)
