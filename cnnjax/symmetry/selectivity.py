"""Specialisation of competing detectors: which one responds most to which transformation."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


def argmax_shares(responses: jax.Array) -> jax.Array:
    """Share of the images for which each detector has the largest response.

        shares[t, j] = mean over images i of [argmax over k of responses[t, i, k] = j]

    Args:
      responses: `[amounts, images, detectors]`, at each amount of a transformation.

    Returns:
      `[amounts, detectors]`, which sum to 1 at every amount.

    Raises:
      ValueError: responses of another rank.
    """
    if responses.ndim != 3:
        raise ValueError(
            f"`responses` must be [amounts, images, detectors], got shape {responses.shape}."
        )
    return jax.nn.one_hot(responses.argmax(-1), responses.shape[-1]).mean(1)


def effective_number(shares: jax.Array) -> jax.Array:
    """Effective number of detectors: the exponential of the entropy of their shares.

        exp(-sum over j of p_j log p_j),    p_j = mean over amounts of shares[:, j]

    1 if one detector always has the largest response, k if k detectors have it equally often.
    Unchanged by any reordering. Source: Hill, Diversity and evenness: a unifying notation and its
    consequences, 1973 (of order 1).

    Args:
      shares: `[amounts, detectors]`, from `argmax_shares`.
    """
    return jnp.exp(jax.scipy.special.entr(shares.mean(0)).sum())


def vector_strength(shares: jax.Array, angles: jax.Array | np.ndarray) -> jax.Array:
    """Concentration of each detector's shares about one direction: the mean resultant length.

        R_j = |sum over angles t of shares[t, j] exp(i t)| / sum over t of shares[t, j]

    1: all at one angle; 0: the same at all angles, evenly spaced, and for a detector whose shares
    are all zero.
    Source: Mardia & Jupp, Directional statistics, 2000, section 2.3.

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
    """Mean direction of each detector's shares, in radians between 0 and 2 pi, `[detectors]`.

    Source: Mardia & Jupp, Directional statistics, 2000, section 2.2.

    Args:
      shares: `[angles, detectors]`, not negative.
      angles: in radians.
    """
    return jnp.angle(jnp.tensordot(jnp.exp(1j * angles), shares, 1)) % (2 * jnp.pi)


def class_shares(detectors: jax.Array, labels: np.ndarray) -> dict[int, jax.Array]:
    """`argmax_shares` of the detectors of each class, on images of that class.

    Args:
      detectors: responses `[amounts, images, classes, detectors]`.
      labels: class of each image, `[images]`.

    Returns:
      For each class of which there is an image `[amounts, detectors]`.

    Raises:
      ValueError: responses of another rank, or another number of labels.
    """
    if detectors.ndim != 4 or detectors.shape[1] != len(labels):
        raise ValueError(
            f"`detectors` must be [amounts, images, classes, detectors] of {len(labels)} images, "
            f"got shape {detectors.shape}."
        )
    return {
        int(label): argmax_shares(detectors[:, labels == label, label])
        for label in np.unique(labels)
    }


class Specialisation(NamedTuple):
    """How competing detectors divide the angles of a circle among them."""

    effective_number: float
    """`effective_number`."""
    direction: float
    """`vector_strength` of each detector, weighted by its share: 1 if each has the largest response
    at one angle alone, 0 if evenly over all."""
    axis: float
    """The same of the doubled angles: opposite angles count as one."""


def specialisation(shares: Sequence[jax.Array], angles: np.ndarray) -> Specialisation:
    """Specialisation of groups of competing detectors, such as those of each class; the mean.

        direction = mean over groups of sum over j of p_j R_j,    p_j = mean over angles of shares

    Args:
      shares: for each group `[angles, detectors]`, from `class_shares`.
      angles: in radians, evenly over the circle.

    Returns:
      Means over the groups; direction and axis to 6 decimals, so that even shares give 0.
    """

    def strength(harmonic: int) -> float:
        each = [(s.mean(0) * vector_strength(s, harmonic * angles)).sum() for s in shares]
        return round(float(np.mean(each)), 6)

    effective = float(np.mean([effective_number(each) for each in shares]))
    return Specialisation(effective, strength(1), strength(2))
