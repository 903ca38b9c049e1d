"""Adaptive and learnable polyphase sampling: strides that every circular shift is a symmetry of."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnnjax.layers.conv import Conv, EveryShift, Sizes
from cnnjax.ops.polyphase import (
    adaptive_polyphase,
    mixed_polyphase,
    polyphase_component,
    polyphase_components,
)


class AdaptivePolyphase(EveryShift):
    """Keep the polyphase component of largest norm, in place of a stride (APS).

    Symmetry: every circular shift, exactly, unless two components have equal norms.
    Source: Chaman & Dokmanic, Truly shift-invariant convolutional neural networks, 2021, eq. 4.
    """

    strides: Sizes = 2
    """Steps of the grid; they must divide the sizes of x."""
    order: float = 2.0
    """Order of the norm, at least 1; may be infinite."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map `[batch, *space, channels]` to `[batch, *space / strides, channels]`."""
        return self.with_index(x)[0]

    def with_index(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The output, and the component kept of each image, for `cnnjax.ops.polyphase_component`.

        Branches that are added afterwards must keep the same component.
        """
        return adaptive_polyphase(x, strides=self.strides, order=self.order)


class LearnablePolyphase(EveryShift):
    """Keep the polyphase component that a small network likes most, in place of a stride (LPS).

        score[k] = mean over p of network(components_k)[p]
        in evaluation  z = components_k of the largest score
        in training    z = sum over k of w[k] components_k,
                       w = softmax((score + Gumbel noise) / temperature)

    The network, the same for all components, is a circular convolution, ReLU, and a circular
    convolution to one channel. Training needs a key for `rng_collection`.
    Parameters: `hidden` and `score`, two `Conv`.
    Symmetry: in evaluation every circular shift, exactly, unless two components have equal scores.
    Source: Rojas-Gomez, Lim, Schwing, Do, Yeh, Learnable polyphase sampling for shift invariant and
    equivariant convolutional networks, 2022, section 4.
    """

    strides: Sizes = 2
    """Steps of the grid; they must divide the sizes of x."""
    features: int = 8
    """Hidden channels of the network."""
    kernel_size: int = 3
    """Size of its kernels on every axis."""
    temperature: float = 1.0
    """Temperature of the Gumbel-softmax; towards 0 the weights become one-hot."""
    rng_collection: str = "dropout"
    """Where the keys of the noise come from."""

    def setup(self) -> None:
        self.hidden = Conv(self.features, self.kernel_size, padding="CIRCULAR")
        self.score = Conv(1, self.kernel_size, padding="CIRCULAR", use_bias=False)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map `[batch, *space, channels]` to `[batch, *space / strides, channels]`."""
        if not train:
            return self.with_index(x)[0]
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature!r}.")
        scores = self.scores(x)
        noise = jax.random.gumbel(self.make_rng(self.rng_collection), scores.shape, scores.dtype)
        weights = jax.nn.softmax((scores + noise) / self.temperature)
        return mixed_polyphase(x, weights, strides=self.strides)

    def with_index(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The output in evaluation, and the component kept of each image.

        Branches that are added afterwards must keep the same: `cnnjax.ops.polyphase_component`.
        """
        index = jnp.argmax(self.scores(x), axis=-1).astype(jnp.int32)
        return polyphase_component(x, index, self.strides), index

    def scores(self, x: jax.Array) -> jax.Array:
        """The score of each component of each image, `[batch, prod(strides)]`."""
        components = polyphase_components(x, self.strides)
        batch, count, *rest = components.shape
        z = self.score(nn.relu(self.hidden(components.reshape(batch * count, *rest))))
        return z.mean(range(1, z.ndim)).reshape(batch, count)
