"""Small networks that can come to ignore rotation in different ways."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import jax
import numpy as np
from flax import linen as nn

from cnnjax.layers.conv import Conv
from cnnjax.layers.group_conv import GroupPool, LiftingConv
from cnnjax.layers.pool import CrossChannelMaxPool

Pooling = Literal["detectors", "rotations", "hidden", "space", "none"]


class DetectorNet(nn.Module):
    """Score every class by the largest response of what is pooled for it.

    detectors: k filters a class as large as the image, learned separately (maxout). rotations: k
    filters a class in four rotated copies each (p4), so that the logits do not change when the
    image is rotated by 90 degrees. hidden: the filters of detectors as a hidden layer (ReLU) with a
    classifier, nothing pooled. space: two convolutions and the maximum over all positions; none:
    the same convolutions and a classifier of all positions.
    Detectors' responses are sown as 'detectors' in 'intermediates', `[batch, classes, pieces]`.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.9 (detectors); Cohen &
    Welling, Group equivariant convolutional networks, 2016 (rotations).
    """

    classes: int
    """Number of classes."""
    pooling: Pooling = "detectors"
    """What is pooled over."""
    detectors: int = 4
    """Filters a class, k; of 'detectors', 'rotations' and 'hidden'."""
    features: int = 16
    """Channels of the convolutions of 'space' and 'none'."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map square images `[batch, size, size, channels]` to logits `[batch, classes]`.

        Raises:
          ValueError: another pooling, no detectors, or images that are not square.
        """
        del train
        if self.pooling not in get_args(Pooling):
            raise ValueError(
                f"pooling must be one of {', '.join(get_args(Pooling))}, got {self.pooling!r}."
            )
        if self.detectors < 1:
            raise ValueError(f"detectors must be at least 1, got {self.detectors}.")
        if x.shape[1] != x.shape[2]:
            raise ValueError(f"DetectorNet needs square images, got shape {x.shape}.")
        if self.pooling in ("space", "none"):
            for number in (1, 2):
                name = f"conv{number}"
                x = nn.relu(Conv(self.features, 5, strides=2, padding="SAME", name=name)(x))
            x = x.max(axis=(1, 2)) if self.pooling == "space" else x.reshape(len(x), -1)
            return nn.Dense(self.classes, name="classifier")(x)
        rotations = self.pooling == "rotations"
        layer = LiftingConv if rotations else Conv
        filters = layer(self.classes * self.detectors, x.shape[1], padding="VALID", name="filters")
        z = filters(x)[:, 0, 0]
        if self.pooling == "hidden":
            return nn.Dense(self.classes, name="classifier")(nn.relu(z))
        responses = z.swapaxes(1, 2) if rotations else z
        self.sow("intermediates", "detectors", responses.reshape(len(x), self.classes, -1))
        z = GroupPool()(z) if rotations else z
        return CrossChannelMaxPool(self.detectors)(z)

    @nn.nowrap
    def responses(self, variables: Mapping[str, Any], x: jax.Array) -> tuple[jax.Array, ...]:
        """Logits `[batch, classes]` and, if it has any, detectors `[batch, classes, pieces]`."""
        logits, sown = self.apply(variables, x, mutable="intermediates")
        return logits, *sown.get("intermediates", {}).get("detectors", ())

    @nn.nowrap
    def class_filters(self, params: Mapping[str, Any], label: int) -> np.ndarray:
        """The filters of a class as images, mean over channels, in the order of its detectors.

        Args:
          params: parameters of the network, which has detectors.
          label: the class.

        Returns:
          `[pieces, size, size]`, of 'rotations' each filter in its four rotated copies.
        """
        kernel = np.asarray(params["filters"]["kernel"]).mean(2)
        by_class = kernel.reshape(*kernel.shape[:2], self.classes, -1)
        learned = np.moveaxis(by_class[:, :, label], -1, 0)
        if self.pooling == "detectors":
            return learned
        return np.concatenate([[np.rot90(each, turns) for turns in range(4)] for each in learned])
