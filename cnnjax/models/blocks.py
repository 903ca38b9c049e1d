"""What the classic networks share: their arguments, their convolutions, batch normalisation."""

import functools
from collections.abc import Callable
from typing import ClassVar

import jax
from flax import linen as nn

from cnnjax.layers import Conv

Convolution = Callable[..., nn.Module]
"""Constructor of a layer, called with `features, kernel_size, strides, padding, name`; by networks
with batch normalisation with `use_bias=False` as well."""

he_conv = functools.partial(Conv, kernel_init=nn.initializers.he_normal())
"""Standard convolution that begins as in He et al., Delving deep into rectifiers, 2015, eq. 10."""


def batch_norm(
    name: str, train: bool, axis_name: str | None, epsilon: float = 1e-5
) -> nn.BatchNorm:
    """Batch normalisation over the batch of all devices in training, by running means otherwise.

    `axis_name` is that of the axis of devices in training; None: each device by itself. `epsilon`
    is added to the variance.
    """
    return nn.BatchNorm(
        use_running_average=not train, axis_name=axis_name if train else None, momentum=0.9,
        epsilon=epsilon, name=name,
    )  # fmt: skip


class ImageNetwork(nn.Module):
    """The arguments of every classic network."""

    image_shape: ClassVar[tuple[int, ...]] = (224, 224, 3)
    """Shape of an image, as published."""
    classes: int = 1000
    """Number of classes."""
    conv: Convolution = he_conv
    """Constructor of the convolutions."""


def square(
    conv: Convolution, x: jax.Array, features: int, size: int, name: str, stride: int = 1, **options
) -> jax.Array:
    """A convolution with a square window, with any further arguments of its constructor."""
    each = {"kernel_size": (size, size), "strides": (stride, stride)}
    return conv(features=features, name=name, **each, **options)(x)


def unbiased(
    conv: Convolution, x: jax.Array, features: int, size: int, name: str, stride: int = 1
) -> jax.Array:
    """A square convolution without bias, as stands below batch normalisation; it keeps the size, or
    with a stride halves it."""
    return square(conv, x, features, size, name, stride, padding=size // 2, use_bias=False)


def flatten(x: jax.Array) -> jax.Array:
    """`[batch, ...]` to `[batch, entries]`."""
    return x.reshape(x.shape[0], -1)
