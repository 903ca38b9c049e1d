"""What a bank of kernels says about sharing, without any image.

A bank is `[*positions, *window, in, out]`, as in `tiled_conv` and `local_conv`: one kernel for each
output position.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def shared_part(bank: jax.Array, tile: int | Sequence[int], axes: int = 2) -> jax.Array:
    """The nearest bank that repeats every `tile` positions: means over the positions that share.

        (P K)[p] = mean over q = p mod tile of K[q]

    Args:
      bank: `[*positions, *window, in, out]`.
      tile: positions after which kernels repeat, for all axes or one an axis.
      axes: number of axes of positions.

    Raises:
      ValueError: a tile below 1, or not one an axis.
    """
    tiles = (tile,) * axes if isinstance(tile, int) else tuple(tile)
    if len(tiles) != axes or min(tiles) < 1:
        raise ValueError(f"tile must be one int or {axes}, each at least 1, got {tile!r}.")
    for axis, step in enumerate(tiles):
        phases = jnp.arange(bank.shape[axis]) % step
        alike = phases[:, None] == phases[None]
        weights = alike / alike.sum(1, keepdims=True)
        # As distances from the first kernel of each phase, which are zero exactly if it repeats.
        first = jnp.take(bank, phases, axis)
        mean = jnp.tensordot(weights.astype(bank.dtype), bank - first, (1, axis))
        bank = first + jnp.moveaxis(mean, 0, axis)
    return bank


def sharing_defect(bank: jax.Array, tile: int | Sequence[int] = 1, axes: int = 2) -> jax.Array:
    """How far a bank is from repeating every `tile` positions.

        ||K - P K||^2 / ||K||^2

    0 exactly for a bank that repeats; for independent random kernels 1 - (kernels that are left) /
    positions on average.

    Args:
      bank, tile, axes: as for `shared_part`; tile 1 is one kernel for all positions.
    """
    rest = bank - shared_part(bank, tile, axes)
    return jnp.sum(rest**2) / jnp.sum(bank**2)


def effective_spatial_rank(bank: jax.Array, axes: int = 2) -> jax.Array:
    """How many different kernels a bank is made of: the exponential of its spectral entropy.

        exp(-sum p log p),    p = s^2 / sum s^2,    s the singular values of positions x kernel

    1 for one shared kernel (scaled from position to position or not), r for r kernels mixed evenly.
    Source: Roy & Vetterli, The effective rank, 2007, with squared singular values.

    Args:
      bank: `[*positions, *window, in, out]`.
      axes: number of axes of positions.
    """
    matrix = bank.reshape(-1, *bank.shape[axes:])
    squares = jnp.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False) ** 2
    share = squares / squares.sum()
    return jnp.exp(-jnp.sum(jnp.where(share > 0, share * jnp.log(jnp.maximum(share, 1e-30)), 0)))


def weight_signal_to_noise(bank: jax.Array, axes: int = 2) -> jax.Array:
    """How alike the kernels are: mean squared over variance between positions, mean over taps.

        SNR = mean over taps j of (mean over p of K[p, j])^2 / (variance over p of K[p, j])

    Infinite for one shared kernel, about 1 / positions for independent ones. Taps that are zero at
    every position, which say nothing, are left out.
    Source: Pogodin, Mehta, Lillicrap, Latham, Towards biologically plausible convolutional
    networks, 2021, section 4.

    Args:
      bank: `[*positions, *window, in, out]`.
      axes: number of axes of positions.
    """
    matrix = bank.reshape(-1, *bank.shape[axes:])
    # As distances from the first kernel, which are zero exactly if it is shared.
    variance = (matrix - matrix[:1]).var(0)
    told = jnp.any(matrix != 0, 0)
    ratio = jnp.where(told, matrix.mean(0) ** 2, 0) / jnp.where(told, variance, 1)
    return ratio.sum() / told.sum()
