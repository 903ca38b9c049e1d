"""A network that labels every pixel, and refines its labels with the same weights."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers.conv import Conv


class RecurrentSegmentation(nn.Module):
    """Label every pixel from the image and the estimate before, several times over.

        H = relu(U * X + W * softmax(Y before)),    H' = relu(R * H),    Y = V * H'

    with the same U, W, R, V at every iteration and no estimate before the first. Each iteration
    sees further: labels can agree with labels around them.
    In training the estimates before the last are sown in the collection 'auxiliary'.
    Symmetry: translations, as far as the border is not seen; all circular ones with circular
    padding.
    Source: Pinheiro & Collobert, Recurrent convolutional neural networks for scene labeling, 2014;
    Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.17.
    """

    classes: int
    """Number of classes of pixels."""
    iterations: int = 3
    """How often the estimate is made."""
    features: int = 16
    """Channels of the hidden layers."""
    kernel_size: int = 5
    """Height and width of the kernels of U, W and R; those of V are 1 x 1."""
    padding: str = "SAME"
    """Padding of the convolutions."""
    conv: Callable[..., nn.Module] = Conv
    """Constructor of a convolution, called with `features, kernel_size, strides, padding, name`."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, height, width, channels]` to logits `[batch, height, width, classes]`.

        Raises:
          ValueError: no iterations.
        """
        *before, last = self.estimates(x)
        if train:
            for number, estimate in enumerate(before, start=1):
                self.sow("auxiliary", f"iteration_{number}", estimate)
        return last

    @nn.compact
    def estimates(self, x: jax.Array) -> list[jax.Array]:
        """The logits after every iteration."""
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations!r}.")
        hidden_of_image = self._convolution(self.features, self.kernel_size, "image")(x)
        of_estimate = self._convolution(self.features, self.kernel_size, "estimate")
        deeper = self._convolution(self.features, self.kernel_size, "hidden")
        labels = self._convolution(self.classes, 1, "labels")
        nothing = jnp.zeros((*x.shape[:-1], self.classes), hidden_of_image.dtype)
        found: list[jax.Array] = []
        for _ in range(self.iterations):
            before = nn.softmax(found[-1]) if found else nothing
            hidden = nn.relu(hidden_of_image + of_estimate(before))
            found.append(labels(nn.relu(deeper(hidden))))
        return found

    def _convolution(self, features: int, size: int, name: str) -> nn.Module:
        return self.conv(
            features=features,
            kernel_size=(size, size),
            strides=(1, 1),
            padding=self.padding,
            name=name,
        )
