"""Specialisation of competing detectors: which one responds most to which transformation."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from cnnjax.symmetry.units import effective_number, vector_strength


def class_shares(detectors: jax.Array, labels: np.ndarray) -> dict[int, np.ndarray]:
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
    largest = _largest(detectors, labels)
    return {int(label): largest[:, labels == label].mean(1) for label in np.unique(labels)}


def _largest(detectors: jax.Array, labels: np.ndarray) -> np.ndarray:
    """1 for the detector of each image's class that responds most, `[amounts, images, detectors]`.

    On the host: classes differ in their number of images, and jax would compile each.
    """
    own = np.asarray(detectors)[:, np.arange(len(labels)), labels]
    return np.eye(own.shape[-1], dtype=np.float32)[own.argmax(-1)]


class Specialisation(NamedTuple):
    """How competing detectors divide the angles of a circle among them."""

    effective_number: float
    """`effective_number`."""
    direction: float
    """`vector_strength` of each detector, weighted by its share: 1 if each has the largest response
    at one angle alone, 0 if evenly over all."""
    axis: float
    """The same of the doubled angles: opposite angles count as one."""


def specialisation(shares: Sequence[jax.Array | np.ndarray], angles: np.ndarray) -> Specialisation:
    """Specialisation of groups of competing detectors, such as those of each class; the mean.

        direction = mean over groups of sum over j of p_j R_j,    p_j = mean over angles of shares

    Args:
      shares: for each group `[angles, detectors]`, from `class_shares`.
      angles: in radians, evenly over the circle.

    Returns:
      Means over the groups; direction and axis to 6 decimals, so that even shares give 0.
    """

    def strength(harmonic: int) -> float:
        each = [_strength(one, harmonic * angles) for one in shares]
        return round(float(np.mean(each)), 6)

    effective = float(np.mean([_effective_number(each) for each in shares]))
    return Specialisation(effective, strength(1), strength(2))


_effective_number = jax.jit(effective_number)


@jax.jit
def _strength(shares: jax.Array, angles: jax.Array) -> jax.Array:
    """Vector strength of the detectors, weighted by their shares."""
    return (shares.mean(0) * vector_strength(shares, angles)).sum()


def shuffled_specialisation(
    detectors: jax.Array,
    labels: np.ndarray,
    angles: np.ndarray,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Specialisation:
    """Specialisation that is left if the angles of every image are rotated by a random amount.

    Each image keeps its detectors with the largest response and their order around the circle, and
    starts anywhere, so that no detector prefers an angle that is common to the images of its class:
    the chance level of `specialisation(class_shares(detectors, labels).values(), angles)`, which
    is not 0 for few images. The mean over `draws`; the effective number does not change.

    Args:
      detectors: responses `[angles, images, classes, detectors]`.
      labels: class of each image, `[images]`.
      angles: in radians, evenly over the circle.
      draws: number of draws of all images' rotations.
      seed: of the draws: equal arguments give equal numbers.

    Raises:
      ValueError: as `class_shares`.
    """
    shares = class_shares(detectors, labels)
    largest = _largest(detectors, labels)
    rotations = np.random.default_rng(seed).choice(angles, (draws, len(labels)))

    def strength(harmonic: int) -> float:
        # To rotate an image's angles is to multiply its Fourier coefficient by a phase.
        coefficients = np.tensordot(np.exp(1j * harmonic * angles), largest, 1)
        phases = np.exp(1j * harmonic * rotations)
        each = [
            np.abs(phases[:, chosen] @ coefficients[chosen]).sum(-1).mean() / chosen.sum()
            for chosen in (labels == label for label in shares)
        ]
        return round(float(np.mean(each)) / len(angles), 6)

    effective = float(np.mean([_effective_number(each) for each in shares.values()]))
    return Specialisation(effective, strength(1), strength(2))
