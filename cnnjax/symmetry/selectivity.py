"""Which of several competing detectors answers to which amount of a transformation."""

import jax
import jax.numpy as jnp


def winning_shares(responses: jax.Array) -> jax.Array:
    """How often each detector is the strongest.

    Args:
      responses: `[amounts, images, detectors]`, at each amount of a transformation.

    Returns:
      `[amounts, detectors]`, shares of the images, which sum to 1 at every amount.

    Raises:
      ValueError: another rank.
    """
    if responses.ndim != 3:
        raise ValueError(
            f"responses must be [amounts, images, detectors], got shape {responses.shape}."
        )
    return jax.nn.one_hot(responses.argmax(-1), responses.shape[-1]).mean(1)


def effective_winners(shares: jax.Array) -> jax.Array:
    """How many detectors share the work: the exponential of the entropy of their wins.

        exp(-sum over j of p_j log p_j),    p_j = mean over amounts of shares[:, j]

    1 if one detector always wins, k if k win equally often. Unchanged by any reordering.

    Args:
      shares: `[amounts, detectors]`, from `winning_shares`.
    """
    return jnp.exp(jax.scipy.special.entr(shares.mean(0)).sum())


def vector_strength(shares: jax.Array, angles: jax.Array) -> jax.Array:
    """How far wins keep to one direction: the length of the mean direction of each detector's wins.

        R_j = |sum over angles t of shares[t, j] exp(i t)| / sum over t of shares[t, j]

    1: wins at one angle alone; 0: as often at all angles, evenly spaced, and for a detector that
    never wins.
    Source: Mardia & Jupp, Directional statistics, 2000, section 2.3 (mean resultant length).

    Args:
      shares: `[angles, detectors]`, not negative.
      angles: in radians.

    Returns:
      `[detectors]`, between 0 and 1.
    """
    total = shares.sum(0)
    length = jnp.abs(jnp.tensordot(jnp.exp(1j * angles), shares, 1))
    return jnp.where(total > 0, length / jnp.where(total > 0, total, 1), 0)


def preferred_angle(shares: jax.Array, angles: jax.Array) -> jax.Array:
    """The mean direction of each detector's wins, in radians between 0 and 2 pi, `[detectors]`.

    Source: Mardia & Jupp, Directional statistics, 2000, section 2.2.
    """
    return jnp.angle(jnp.tensordot(jnp.exp(1j * angles), shares, 1)) % (2 * jnp.pi)
