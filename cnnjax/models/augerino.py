"""A network that learns how far its images may be moved."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnnjax.layers.random_affine import RandomAffine
from cnnjax.ops.interpolation import Interpolation

WIDEST = 10.0
"""Width from which on more is not rewarded."""


class Augerino(nn.Module):
    """A network behind random affine maps whose widths are learned with its weights.

        training    f(g x), one g for each image;      loss - regularisation ||widths||
        otherwise   mean over `samples` of f(g_j x)

    with the norm of the widths softplus(.), the whole ranges of `layers.RandomAffine`; it no longer
    counts once one of them reaches 10. What is sown into 'losses' is the part of the loss that is
    not the network's. The loss of one g bounds that of the mean over all from above, since
    cross-entropy is convex in logits.
    Symmetry of the logits: none exactly; approximately maps well inside of the widths.
    Source: Benton, Finzi, Izmailov, Wilson, Learning invariances in neural networks from training
    data, 2020, section 3, and their code: `safe_unif_aug_loss`, `AugAveragedModel`, which averages
    logarithms of probabilities.
    """

    network: Callable[..., nn.Module]
    """Constructor of the network, called with `name`."""
    generators: Sequence[str] = ("rotation",)
    """Names of generators, see `ops.GENERATORS`."""
    regularisation: float = 0.05
    """Reward of the norm of the widths."""
    half_width: float = math.radians(5)
    """Half-width of each generator before training."""
    samples: int = 4
    """Maps over which logits are averaged in evaluation, the same for all images: midpoints of so
    many parts of each range, in an order of each generator's own (Latin hypercube, McKay, Beckman,
    Conover, 1979)."""
    interpolation: Interpolation = "bicubic"
    """How pixels are read."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map images `[batch, height, width, channels]` to logits `[batch, classes]`.

        Args:
          x: floating images.
          train: draw one map for each image, from the stream 'dropout', and sow the reward.
        """
        augmentation = RandomAffine(
            self.generators, self.half_width, self.interpolation, name="augmentation"
        )
        network = self.network(name="network")
        count = len(self.generators)
        if train:
            key = self.make_rng("dropout")
            offsets = jax.random.uniform(key, (len(x), count), x.dtype, -1.0, 1.0)
            widths = 2 * augmentation.half_widths()
            reward = jnp.linalg.norm(widths) * jnp.all(widths < WIDEST)
            self.sow("losses", "width", -self.regularisation * reward)
            return network(augmentation(x, offsets), train)
        offsets = stratified_offsets(self.samples, count)
        moved = augmentation(jnp.repeat(x, self.samples, axis=0), jnp.tile(offsets, (len(x), 1)))
        logits = network(moved, train)
        return logits.reshape(len(x), self.samples, -1).mean(1)


def stratified_offsets(samples: int, generators: int) -> np.ndarray:
    """Midpoints of `samples` equal parts of [-1, 1], `[samples, generators]`.

    Each column holds every midpoint once; the first in order, others in an order of their own.

    Raises:
      ValueError: less than one sample.
    """
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, got {samples!r}.")
    midpoints = (2 * np.arange(samples) + 1) / samples - 1
    orders = [np.arange(samples)]
    orders += [np.random.default_rng(n).permutation(samples) for n in range(1, generators)]
    return midpoints[np.stack(orders, -1)].astype(np.float32)
