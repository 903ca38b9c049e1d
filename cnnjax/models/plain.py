"""The plain network of textbooks: convolution, normalisation, activation and pooling, repeated."""

import inspect
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, get_args

import jax
from flax import linen as nn

from cnnjax.layers import GlobalAveragePool, MaxPool
from cnnjax.models.blocks import Convolution, batch_norm, flatten, he_conv
from cnnjax.ops.pool import global_max_pool

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
Readout = Literal["mean", "max", "volume"]


class PlainNet(nn.Module):
    """Stages of convolution, batch normalisation, activation and 2x2 pooling; then a readout and a
    linear classifier.

    For images of any size that the stages can halve; with the readout 'volume' always of one size.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.7.
    """

    image_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    """Shape of an image, as published."""
    classes: int = 10
    """Number of classes."""
    conv: Convolution = he_conv
    """Constructor of the convolutions; with batch normalisation called with `use_bias=False`."""
    features: Sequence[int] = (32, 64, 128)
    """Channels of each stage."""
    kernel_size: int = 3
    """Height and width of every kernel."""
    padding: str = "SAME"
    """Padding of every convolution."""
    normalize: bool = True
    """Whether there is batch normalisation."""
    activation: Activation = "relu"
    """Nonlinearity of every stage."""
    pool: Callable[..., nn.Module] | None = MaxPool
    """Constructor of the pooling, called with `window_shape, strides, name`; None: no pooling."""
    readout: Readout = "mean"
    """What the classifier takes: of each channel the mean or the maximum over all positions, or the
    whole volume."""
    axis_name: str | None = "batch"
    """Axis of the devices over which batch normalisation averages in training; None: not at all."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: another activation or readout.
        """
        for name, choices in (("activation", Activation), ("readout", Readout)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"`{name}` must be one of {', '.join(get_args(choices))}, got "
                    f"{getattr(self, name)!r}."
                )
        for number, features in enumerate(self.features, start=1):
            layer = self.conv(
                features=features,
                kernel_size=(self.kernel_size,) * 2,
                strides=(1, 1),
                padding=self.padding,
                name=f"conv{number}",
                **({"use_bias": False} if self.normalize else {}),
            )
            x = layer(x)
            if self.normalize:
                x = batch_norm(f"bn{number}", train, self.axis_name)(x)
            x = getattr(nn, self.activation)(x)
            if self.pool is not None:
                pool = self.pool(window_shape=2, strides=2, name=f"pool{number}")
                draws = "train" in inspect.signature(pool.__call__).parameters
                x = pool(x, train) if draws else pool(x)
        return nn.Dense(self.classes, name="classifier")(self._read(x))

    def _read(self, x: jax.Array) -> jax.Array:
        if self.readout == "volume":
            return flatten(x)
        if self.readout == "max":
            return global_max_pool(x)
        return GlobalAveragePool(name="average")(x)


class ConvPoolDense(PlainNet):
    """INPUT - CONV - ReLU - POOL - FC, the simplest network of lectures, for images 32x32x3.

    Volumes: 32x32x12, 16x16x12, 1x1x10. Parameters: 336 and, of the layer that reads the whole
    volume, 30,730.
    Source: Karpathy, Li, Johnson, CS231n Convolutional neural networks, 2016.
    """

    features: Sequence[int] = (12,)
    normalize: bool = False
    readout: Readout = "volume"
