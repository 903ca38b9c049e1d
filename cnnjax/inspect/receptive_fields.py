"""Theoretical and effective receptive field of an output of any function, by gradient."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

EFFECTIVE = 1 - 0.9545
"""Gradients above this part of the largest count for the effective receptive field: those within
two standard deviations of a Gaussian (Luo et al., 2016, section 3)."""


@dataclasses.dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Receptive field of one output position."""

    position: tuple[int, ...]
    """The output position; () for an output without space."""
    squared_gradient: np.ndarray
    """`[*space]`: mean squared derivative with respect to each input position."""

    @property
    def support(self) -> np.ndarray:
        """Theoretical receptive field, `[*space]`: True where the output depends on the input.

        Any gradient counts, however small, so that for a function computed by a Fourier transform
        rounding errors do too: see `effective_size` there.
        """
        return self.squared_gradient > 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Extent of the theoretical field on each axis, with the gaps of a dilation.

        The axis is taken to be circular: the shortest arc that contains the field.
        """
        axes = range(self.support.ndim)
        return tuple(
            _extent(np.any(self.support, tuple(other for other in axes if other != axis)))
            for axis in axes
        )

    @property
    def effective_size(self) -> float:
        """Effective size: (number of positions with |gradient| > EFFECTIVE * largest)^(1 /
        axes)."""
        gradient = np.sqrt(self.squared_gradient)
        count = int((gradient > EFFECTIVE * gradient.max()).sum()) if gradient.any() else 0
        return count ** (1 / gradient.ndim)


def receptive_field(
    function: Callable[[jax.Array], jax.Array],
    shape: Sequence[int],
    *,
    position: Sequence[int] | None = None,
    samples: int = 16,
) -> ReceptiveField:
    """Receptive field of one output position, by gradient, of any function.

        squared_gradient[q] = mean of (d <u, z[position]> / d x[q, c])^2 over x, u and c

    with x and u Gaussian noise. A position without influence at one x (an inactive ReLU, a maximum
    elsewhere) is found at another, given enough samples; the parameters of the function should be
    random. Average over several draws of them for the expectation of the source.
    Source: Luo, Li, Urtasun, Zemel, Understanding the effective receptive field in deep
    convolutional neural networks, 2016.

    Args:
      function: from `[batch, *space, channels]` to `[batch, *out_space, features]` or
        `[batch, features]`, each example on its own.
      shape: shape of one input, `[*space, channels]`.
      position: the output position; its middle if None.
      samples: number of inputs x.

    Raises:
      ValueError: a position outside the output.
    """
    noise = np.random.default_rng(0)
    x = jnp.asarray(noise.normal(size=(samples, *shape)), jnp.float32)
    output = jax.eval_shape(function, x)
    out_space = output.shape[1:-1]
    at = tuple(size // 2 for size in out_space) if position is None else tuple(position)
    inside = [0 <= place < size for place, size in zip(at, out_space)]
    if len(at) != len(out_space) or not all(inside):
        raise ValueError(f"`position` must lie in an output of sizes {tuple(out_space)}, got {at}.")

    u = jnp.asarray(noise.normal(size=(samples, output.shape[-1])), output.dtype)

    @jax.jit
    def squared_gradient(x):
        def response(x):
            return jnp.vdot(u, function(x)[(slice(None), *at)])

        return jnp.mean(jax.grad(response)(x) ** 2, (0, -1))

    return ReceptiveField(at, np.asarray(squared_gradient(x)))


def _extent(seen: Any) -> int:
    """Length of the shortest arc of a circle that contains every True."""
    places = np.flatnonzero(seen)
    if len(places) == 0:
        return 0
    gaps = np.diff([*places, places[0] + len(seen)])
    return int(len(seen) - gaps.max() + 1)
