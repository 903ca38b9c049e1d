"""Tests by movements of images: the movements, the moved images, and what a classifier answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.run.statistics import finite
from cnnjax.symmetry.invariance import accuracy_curve, chance_corrected_consistency
from cnnjax.symmetry.sensitivity import noise_like, normalised_invariance_error
from cnnjax.symmetry.transformations import rotate, rotate90

Shift = tuple[int, int]
Move = Shift | float
"""A shift (down, right) in whole pixels, or a rotation in degrees, counter-clockwise."""


def shifts_around(distances: Iterable[int]) -> list[Move]:
    """Shifts by each distance in the eight directions of the grid, diagonals by it on both axes."""
    ways = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    return [(each * y, each * x) for each in distances for y, x in ways]


def rotations_both_ways(angles: Iterable[float]) -> list[Move]:
    """Rotations by each angle in degrees, from 0 to 180, and by its negative; 180 is both."""
    return [way * each for each in angles for way in ((1, -1) if each < 180 else (1,))]


def amount_of(move: Move) -> float:
    """The distance of a shift along an axis, in pixels, or the angle of a rotation, in degrees."""
    return float(np.abs(move).max())


def moved_images(images: np.ndarray, move: Move, fill: float = 0.0) -> np.ndarray:
    """Images after a movement: shifted circularly, or rotated about their centre.

    Rotations by multiples of 90 degrees permute pixels; others are bilinear.

    Args:
      images: `[batch, height, width, channels]`.
      move: the movement.
      fill: value outside of rotated images.
    """
    if isinstance(move, tuple):
        return np.roll(images, move, (1, 2))
    if move % 90 == 0:
        return np.asarray(rotate90(jnp.asarray(images), round(move / 90)))
    return np.asarray(_rotated(images, np.float32(np.deg2rad(move)), np.float32(fill)))


_rotated = jax.jit(rotate)


class MoveResponses(NamedTuple):
    """What a classifier makes of moved images; None is a number that is not finite."""

    accuracy: float
    """Accuracy on the moved images, mean over movements."""
    kappa: float
    """Consistency beyond chance of the images at rest and moved, see
    `chance_corrected_consistency`."""
    change: float | None
    """Change of the logits by a movement, in units of that from one image to another, mean over
    movements: see `normalised_invariance_error`."""
    noise: float | None
    """The same by noise of equal norm."""
    curve: np.ndarray
    """Accuracy at each amount, the smallest first, mean over its movements."""
    changes: np.ndarray
    """Change of the logits by each movement."""


def move_responses(
    still: np.ndarray,
    moved: np.ndarray,
    noisy: np.ndarray,
    labels: np.ndarray,
    moves: Sequence[Move],
) -> MoveResponses:
    """Accuracy, consistency and sensitivity of a classifier under movements of its images.

    Args:
      still: logits of the images at rest, `[images, classes]`.
      moved: logits after each movement, `[moves, images, classes]`.
      noisy: logits after noise of the norm of each movement, of the same shape.
      labels: `[images]`.
      moves: the movements.

    Raises:
      ValueError: fewer than two images, no movement, or shapes that do not fit.
    """
    if len(moves) != len(moved):
        raise ValueError(f"`moves` must be one for each of {len(moved)} logits, got {len(moves)}.")
    classes = np.concatenate([still[None], moved]).argmax(-1)
    changes, noise = (
        np.asarray(normalised_invariance_error(jnp.asarray(each), jnp.asarray(still)))
        for each in (moved, noisy)
    )
    accuracies = accuracy_curve(classes[1:], labels)
    amounts = np.array([amount_of(move) for move in moves])
    return MoveResponses(
        accuracy=float(accuracies.mean()),
        kappa=float(chance_corrected_consistency(classes)),
        change=finite(changes.mean()),
        noise=finite(noise.mean()),
        curve=np.array([accuracies[amounts == each].mean() for each in np.unique(amounts)]),
        changes=changes,
    )


class MoveTest:
    """Test images, moved and with noise of equal norm: made once, answered by many classifiers.

    Args:
      images: `[images, height, width, channels]`.
      labels: `[images]`.
      moves: the movements, see `Move`.
      fill: value outside of rotated images.
      seed: of the noise, which differs from movement to movement.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        moves: Sequence[Move],
        fill: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.images, self.labels, self.moves = images, labels, list(moves)
        keys = jax.random.split(jax.random.key(seed), len(self.moves))
        self.moved = [moved_images(images, move, fill) for move in self.moves]
        self.noisy = [
            np.asarray(noise_like(key, jnp.asarray(images), jnp.asarray(moved)))
            for key, moved in zip(keys, self.moved, strict=True)
        ]

    def responses(
        self, logits: Callable[[np.ndarray], np.ndarray], groups: Mapping[str, np.ndarray]
    ) -> dict[str, MoveResponses]:
        """What a classifier makes of each group of the images, see `move_responses`.

        Args:
          logits: from images to logits, `[images, classes]`.
          groups: for each name whether each image belongs to the group.
        """
        still = logits(self.images)
        moved, noisy = (np.stack([*map(logits, views)]) for views in (self.moved, self.noisy))
        return {
            name: move_responses(
                still[chosen], moved[:, chosen], noisy[:, chosen], self.labels[chosen], self.moves
            )
            for name, chosen in groups.items()
        }
