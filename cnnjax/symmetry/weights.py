"""Weight sharing in a bank of kernels, measured without any image.

A bank is `[*positions, *window, in, out]`, as in `tiled_conv` and `local_conv`: one kernel for each
output position.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment


def shared_part(bank: jax.Array, tile: int | Sequence[int], axes: int = 2) -> jax.Array:
    """Nearest bank that repeats every `tile` positions: means over the positions that share.

        (P K)[p] = mean over q = p mod tile of K[q]

    Args:
      bank: `[*positions, *window, in, out]`.
      tile: positions after which kernels repeat, an int for all axes or one for each.
      axes: number of axes of positions.

    Raises:
      ValueError: a tile below 1, or not one for each axis.
    """
    tiles = (tile,) * axes if isinstance(tile, int) else tuple(tile)
    if len(tiles) != axes or min(tiles) < 1:
        raise ValueError(f"`tile` must be one int or {axes}, each at least 1, got {tile!r}.")
    return _shared_part(bank, tiles)


@functools.partial(jax.jit, static_argnums=1)
def _shared_part(bank: jax.Array, tiles: tuple[int, ...]) -> jax.Array:
    for axis, step in enumerate(tiles):
        phases = jnp.arange(bank.shape[axis]) % step
        alike = phases[:, None] == phases[None]
        weights = alike / alike.sum(1, keepdims=True)
        # Differences from the first kernel of each phase, which are exactly zero if it repeats.
        first = jnp.take(bank, phases, axis)
        mean = jnp.tensordot(weights.astype(bank.dtype), bank - first, (1, axis))
        bank = first + jnp.moveaxis(mean, 0, axis)
    return bank


def sharing_defect(bank: jax.Array, tile: int | Sequence[int] = 1, axes: int = 2) -> jax.Array:
    """Relative squared distance of a bank from one that repeats every `tile` positions.

        ||K - P K||^2 / ||K||^2,    P K the `shared_part`

    Exactly 0 for a bank that repeats; 1 - (product of the tile) / positions on average for
    independent random kernels. Tile 1 is one kernel for all positions.
    """
    return _energy_of_rest(bank, shared_part(bank, tile, axes))


@jax.jit
def _energy_of_rest(bank: jax.Array, shared: jax.Array) -> jax.Array:
    return jnp.sum((bank - shared) ** 2) / jnp.sum(bank**2)


def match_channels(bank: jax.Array, axes: int = 2) -> jax.Array:
    """The bank with its output channels reordered at each position to match their mean.

        K'[p, ..., o] = K[p, ..., pi_p(o)],    permutations pi_p that minimise ||K' - mean K'||^2

    Channels of an untied hidden layer have no common identity: unit 3 at one position may do what
    unit 5 does at another, and the `sharing_defect` of such a bank is that of unrelated kernels.
    The minimum is local, from assignments (Kuhn, The Hungarian method, 1955) to the mean alternated
    with the mean, starting at each position in turn and keeping the best. Chance agreement remains:
    compare with a bank of the same shape drawn anew, matched alike. Input channels are not
    reordered: those of a first layer are the image's. Not under jit.

    Args:
      bank: `[*positions, *window, in, out]`.
      axes: number of axes of positions.
    """
    shape = bank.shape
    positions = int(np.prod(shape[:axes]))
    kernels = np.asarray(bank, np.float64).reshape(positions, -1, shape[-1])
    candidates = [_matched(kernels, kernels[start]) for start in range(positions)]
    best = min(candidates, key=lambda matched: np.sum((matched - matched.mean(0)) ** 2))
    return jnp.asarray(best.reshape(shape), bank.dtype)


def _matched(kernels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Kernels `[positions, entries, out]` assigned to a target, then to their mean while it
    helps."""
    distance = np.inf
    while True:
        orders = [linear_sum_assignment(target.T @ kernel, maximize=True)[1] for kernel in kernels]
        matched = np.stack(
            [kernel[:, order] for kernel, order in zip(kernels, orders, strict=True)]
        )
        target, before = matched.mean(0), distance
        distance = np.sum((matched - target) ** 2)
        if not distance < before:
            return matched


def matched_defects(
    parameters: Mapping[str, Any], *, axes: int = 2, most: int = 64
) -> dict[str, float]:
    """The `sharing_defect` of each bank of a network by its layer's name, after `match_channels`.

    Args:
      parameters: by layer; a kernel `[*positions, *window, in, out]` with `axes` axes of positions
        and as many of the window is a bank.
      axes: number of axes of positions.
      most: banks of more positions are left out; the time grows with their square.
    """
    kernels = {name: layer["kernel"] for name, layer in parameters.items() if "kernel" in layer}
    return {
        name: float(sharing_defect(match_channels(kernel, axes), axes=axes))
        for name, kernel in kernels.items()
        if kernel.ndim == 2 * axes + 2 and np.prod(kernel.shape[:axes]) <= most
    }


def effective_spatial_rank(bank: jax.Array, axes: int = 2) -> jax.Array:
    """Effective number of different kernels in a bank with `axes` axes of positions.

        exp(-sum p log p),    p = s^2 / sum s^2,    s the singular values of positions x kernel

    1 for one kernel, shared or scaled at each position; r for r kernels mixed evenly.
    Source: Roy & Vetterli, The effective rank, 2007, with squared singular values.
    """
    return _effective_rank(bank.reshape(int(np.prod(bank.shape[:axes])), -1))


@jax.jit
def _effective_rank(matrix: jax.Array) -> jax.Array:
    squares = jnp.linalg.svd(matrix, compute_uv=False) ** 2
    return jnp.exp(jax.scipy.special.entr(squares / squares.sum()).sum())


def weight_signal_to_noise(bank: jax.Array, axes: int = 2) -> jax.Array:
    """Similarity of the kernels: squared mean over variance between positions, mean over offsets.

        SNR = mean over kernel entries j of (mean over p of K[p, j])^2 / (variance over p of K[p,
        j])

    Infinite for one shared kernel, about 1 / positions for independent ones. Kernel entries that
    are zero at every position are left out.
    Source: Pogodin, Mehta, Lillicrap, Latham, Towards biologically plausible convolutional
    networks, 2021, section 4, as printed.
    """
    return _signal_to_noise(bank.reshape(-1, *bank.shape[axes:]))


@jax.jit
def _signal_to_noise(kernels: jax.Array) -> jax.Array:
    mean, variance, used = _over_positions(kernels)
    return (jnp.where(used, mean**2, 0) / jnp.where(used, variance, 1)).sum() / used.sum()


def weight_mean_over_deviation(bank: jax.Array, axes: int = 2) -> jax.Array:
    """Similarity of the kernels: |mean| over standard deviation between positions.

        mean over kernel entries j of |mean over p of K[p, j]| / (std over p of K[p, j])

    Infinite for one shared kernel, about sqrt(2 / (pi positions)) for independent ones. Kernel
    entries that are zero at every position are left out.
    Source: the code of Pogodin et al., 2021, which computes this and not the square that the paper
    prints (`weight_signal_to_noise`).
    """
    return _mean_over_deviation(bank.reshape(-1, *bank.shape[axes:]))


@jax.jit
def _mean_over_deviation(kernels: jax.Array) -> jax.Array:
    mean, variance, used = _over_positions(kernels)
    deviation = jnp.sqrt(jnp.where(used, variance, 1))
    return (jnp.where(used, jnp.abs(mean), 0) / deviation).sum() / used.sum()


def _over_positions(kernels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean and variance over positions of each kernel entry, and whether it is ever nonzero."""
    # Differences from the first kernel, which are exactly zero if it is shared.
    return kernels.mean(0), (kernels - kernels[:1]).var(0), jnp.any(kernels != 0, 0)
