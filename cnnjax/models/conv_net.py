"""A plain convolutional network whose every layer is the convolution it is given."""

from collections.abc import Callable, Sequence

import jax
from flax import linen as nn

from cnnjax.ops import geometry

Lattice = tuple[int, ...] | None


class ConvNet(nn.Module):
    """Convolution and ReLU, several times; then the largest response over
    all positions and a linear classifier.

    Parameters are named `conv1`, `conv2`, ..., `classifier`.
    Symmetry under circular padding: a layer's is the least common multiple of its own and those
    below, in input positions; where the features move with the input, the logits stay as they are.
    """

    classes: int
    """Number of classes."""
    conv: Callable[..., nn.Module]
    """Constructor of a layer, called with `features, kernel_size, strides, padding, name`."""
    features: Sequence[int] = (16, 32, 32)
    """Channels of each layer."""
    strides: Sequence[int] = (1, 2, 1)
    """Strides of each layer, the same on both axes."""
    kernel_size: int = 5
    """Height and width of every kernel."""
    padding: str | int = "CIRCULAR"
    """Padding of every layer."""

    def setup(self) -> None:
        self.convs = [
            self.conv(**arguments, name=f"conv{number}")
            for number, arguments in enumerate(self.layer_arguments(), start=1)
        ]
        self.classifier = nn.Dense(self.classes)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`."""
        return self.outputs(x)["network"]

    def outputs(self, x: jax.Array) -> dict[str, jax.Array]:
        """What every layer computes before its ReLU, by name, and under 'network' the logits."""
        layers = {}
        for number, conv in enumerate(self.convs, start=1):
            z = layers[f"conv{number}"] = conv(x)
            x = nn.relu(z)
        layers["network"] = self.classifier(x.max(axis=(1, 2)))
        return layers

    def layer(self, x: jax.Array, index: int) -> jax.Array:
        """What layer `index`, from 0, makes of an input of its own."""
        return self.convs[index](x)

    def layer_arguments(self) -> list[dict]:
        """What the constructor of each layer is called with, but for its name."""
        if len(self.features) != len(self.strides):
            raise ValueError(
                f"features {tuple(self.features)} and strides {tuple(self.strides)} must name the "
                f"same layers."
            )
        return [
            {
                "features": features,
                "kernel_size": (self.kernel_size,) * 2,
                "strides": (stride,) * 2,
                "padding": self.padding,
            }
            for features, stride in zip(self.features, self.strides, strict=True)
        ]

    def predicted_lattices(self, space: Sequence[int]) -> dict[str, dict[str, Lattice]]:
        """The translations that each layer should commute with, from the claims of all layers.

        Args:
          space: height and width of the images, which shifts wrap around.

        Returns:
          For each layer 'alone', a step an axis in positions of its own input, and 'network', the
          step of everything from the image to its output, in pixels; None where a layer claims
          nothing. The entry 'network' is that of the logits: they stay as they are where the last
          layer's output moves with the image.
        """
        below: Lattice = (1,) * len(space)
        size, effective_stride = tuple(space), (1,) * len(space)
        lattices = {}
        for number, arguments in enumerate(self.layer_arguments(), start=1):
            layer = self.conv(**arguments, parent=None)
            claim = getattr(layer, "predicted_lattice", lambda space: None)
            alone = claim(size)
            if alone is None or below is None:
                below = None
            else:
                each = zip(space, below, effective_stride, alone, strict=True)
                below = tuple(geometry.composed_step(*axis) for axis in each)
            lattices[f"conv{number}"] = {"alone": alone, "network": below}
            strides = arguments["strides"]
            effective_stride = tuple(
                step * stride for step, stride in zip(effective_stride, strides, strict=True)
            )
            size = tuple(
                geometry.output_size(length, self.kernel_size, stride, self.padding)
                for length, stride in zip(size, strides, strict=True)
            )
        lattices["network"] = {"alone": None, "network": below}
        return lattices
