"""A small network whose ways of downsampling can be exchanged."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import jax
from flax import linen as nn

from cnnjax.layers.blur_pool import MaxBlurPool
from cnnjax.layers.conv import Conv
from cnnjax.layers.polyphase import AdaptivePolyphase, LearnablePolyphase
from cnnjax.layers.pool import AveragePool, MaxPool

Downsampling = Literal["max", "average", "strided", "blur", "adaptive", "learnable"]


class DownsamplingNet(nn.Module):
    """Convolution, ReLU and halving of the image, several times; then the largest response over all
    positions and a classifier.

    Everything is circular, so that a circular shift loses nothing at the border: what it changes
    was lost by the halving.
    Symmetry of the logits: all circular shifts by 2 ** len(features), exactly; with 'adaptive' and,
    in evaluation, 'learnable' all circular shifts.
    """

    classes: int
    """Number of classes."""
    downsampling: Downsampling = "max"
    """How to halve: the largest or the mean of 2 x 2; strided: the convolution visits every second
    position; blur: `MaxBlurPool`; adaptive, learnable: `AdaptivePolyphase`, `LearnablePolyphase`
    after the largest of 2 x 2 at stride 1."""
    features: Sequence[int] = (16, 32, 32)
    """Channels of each convolution."""
    kernel_size: int = 3
    """Taps of each convolution on both axes."""
    conv: Callable[..., nn.Module] = Conv
    """Constructor of a convolution, called with `features, kernel_size, strides, padding, name`."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: another downsampling, or sizes that 2 ** len(features) does not divide.
        """
        if self.downsampling not in get_args(Downsampling):
            raise ValueError(
                f"downsampling must be one of {', '.join(get_args(Downsampling))}, got "
                f"{self.downsampling!r}."
            )
        step = 2 ** len(self.features)
        if any(size % step for size in x.shape[1:-1]):
            raise ValueError(
                f"{len(self.features)} halvings need sizes that {step} divides, got "
                f"{x.shape[1:-1]}."
            )
        for number, features in enumerate(self.features, start=1):
            x = self.conv(
                features=features,
                kernel_size=(self.kernel_size,) * 2,
                strides=(2 if self.downsampling == "strided" else 1,) * 2,
                padding="CIRCULAR",
                name=f"conv{number}",
            )(x)
            x = self._halved(nn.relu(x), number, train)
        return nn.Dense(self.classes, name="classifier")(x.max(axis=(1, 2)))

    def _halved(self, x: jax.Array, number: int, train: bool) -> jax.Array:
        match self.downsampling:
            case "max":
                return MaxPool(2, 2, padding="CIRCULAR")(x)
            case "average":
                return AveragePool(2, 2, padding="CIRCULAR")(x)
            case "blur":
                return MaxBlurPool(padding="CIRCULAR")(x)
            case "adaptive":
                return AdaptivePolyphase()(MaxPool(2, padding="CIRCULAR")(x))
            case "learnable":
                dense = MaxPool(2, padding="CIRCULAR")(x)
                return LearnablePolyphase(name=f"polyphase{number}")(dense, train=train)
        return x
