"""A network that labels every pixel, and refines its labels with the same weights."""

from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers.conv import Conv

Feedback = Literal["labels", "zero"]


class RecurrentSegmentation(nn.Module):
    """Label every pixel from the image and the estimate before, several times over.

        H = relu(U * X + W * softmax(Y before)),    H' = relu(R * H),    Y = V * H'

    with the same U, W, R, V at every iteration and no estimate before the first. Each iteration
    sees further: labels can agree with labels around them. The receptive field grows by
    2 (kernel_size - 1) an iteration, as it does by kernel_size - 1 with each further R.
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
    feedback: Feedback = "labels"
    """What each iteration sees of the one before: the estimate, or zeros in its place."""
    tied: bool = True
    """Whether all iterations have the same weights."""
    depth: int = 1
    """Number of R, with weights of their own, one after the other."""
    padding: str = "SAME"
    """Padding of the convolutions."""
    conv: Callable[..., nn.Module] = Conv
    """Constructor of a convolution, called with `features, kernel_size, strides, padding, name`."""

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map `[batch, height, width, channels]` to logits `[batch, height, width, classes]`.

        Raises:
          ValueError: no iterations, no depth, or another feedback.
        """
        *before, last = self.estimates(x)
        if train:
            for number, estimate in enumerate(before, start=1):
                self.sow("auxiliary", f"iteration_{number}", estimate)
        return last

    @nn.compact
    def estimates(self, x: jax.Array) -> list[jax.Array]:
        """The logits after every iteration."""
        for name in ("iterations", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}.")
        if self.feedback not in get_args(Feedback):
            raise ValueError(
                f"feedback must be one of {', '.join(get_args(Feedback))}, got {self.feedback!r}."
            )
        if self.tied:
            stages = [self._stage("")] * self.iterations
        else:
            stages = [self._stage(f"_{number}") for number in range(1, self.iterations + 1)]
        found: list[jax.Array] = []
        for image, of_estimate, deeper, labels in stages:
            hidden = image(x)
            before = jnp.zeros((*x.shape[:-1], self.classes), hidden.dtype)
            if found and self.feedback == "labels":
                before = nn.softmax(found[-1])
            hidden = nn.relu(hidden + of_estimate(before))
            for layer in deeper:
                hidden = nn.relu(layer(hidden))
            found.append(labels(hidden))
        return found

    def _stage(self, suffix: str) -> tuple[nn.Module, nn.Module, list[nn.Module], nn.Module]:
        """U, W, all R, and V."""
        size = self.kernel_size
        numbers = ("", *(f"{number}" for number in range(2, self.depth + 1)))
        return (
            self._convolution(self.features, size, f"image{suffix}"),
            self._convolution(self.features, size, f"estimate{suffix}"),
            [self._convolution(self.features, size, f"hidden{n}{suffix}") for n in numbers],
            self._convolution(self.classes, 1, f"labels{suffix}"),
        )

    def _convolution(self, features: int, size: int, name: str) -> nn.Module:
        return self.conv(
            features=features,
            kernel_size=(size, size),
            strides=(1, 1),
            padding=self.padding,
            name=name,
        )
