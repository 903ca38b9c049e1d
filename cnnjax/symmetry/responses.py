"""Responses of arrays to shifts, rotations and flips of the image they are computed from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import KDTree

from cnnjax.symmetry.equivariance import INDEPENDENT
from cnnjax.symmetry.transformations import fourier_shift

Act = Callable[[np.ndarray], np.ndarray]

ROTATIONS_AND_FLIPS: dict[str, Act] = {
    "90-degree rotation": lambda z: np.rot90(z, 1, (1, 2)),
    "180-degree rotation": lambda z: np.rot90(z, 2, (1, 2)),
    "left-right flip": lambda z: np.flip(z, 2),
    "up-down flip": lambda z: np.flip(z, 1),
}
"""Rotations and flips of `[batch, height, width, ...]`, by name."""


@dataclasses.dataclass(frozen=True)
class Response:
    """Equivariance of arrays to each transformation of an image."""

    space: tuple[int, int]
    """Height and width of the image."""
    errors: Mapping[str, float]
    """Relative equivariance error of each transformation; sqrt(2) if unrelated or of another
    shape."""
    reordered: frozenset[str]
    """Transformations with zero error only after a permutation of the channels, or after rounding a
    shift that falls between two positions to one of them."""
    tolerance: float
    """Largest error that counts as zero."""

    def keeps(self, transformation: str) -> bool:
        """Whether the arrays are equivariant to the transformation."""
        return self.errors.get(transformation, INDEPENDENT) <= self.tolerance

    @property
    def lattice(self) -> tuple[int, int]:
        """Smallest exact circular shift down and to the right; the size: only the zero shift."""
        height, width = (
            next((step for step in divisors(size) if self.keeps(shift_name(axis, step))), size)
            for axis, size in enumerate(self.space)
        )
        return height, width


def transformations(space: Sequence[int], steps: Sequence[int] | None = None) -> dict[str, Act]:
    """All transformations of images of this height and width, by name.

    Circular shifts down and to the right by so many `steps`, or by every proper divisor of the
    size, of which all exact shifts are multiples; flips and the 180-degree rotation; for squares,
    the 90-degree rotation.
    """
    acts: dict[str, Act] = {}
    for axis, size in enumerate(space):
        for step in divisors(size) if steps is None else steps:
            acts[shift_name(axis, step)] = _Shift(axis, step, tuple(space))
    acts |= ROTATIONS_AND_FLIPS
    if space[0] != space[1]:
        del acts["90-degree rotation"]
    return acts


def divisors(size: int) -> list[int]:
    """Proper divisors of a size, smallest first."""
    return [step for step in range(1, size) if size % step == 0]


def shift_name(axis: int, step: int) -> str:
    """Name of the circular shift by `step` pixels down (axis 0) or to the right (axis 1)."""
    return f"shift {('down', 'right')[axis]} by {step}"


def responses(
    run: Callable[[Any], Sequence[Sequence[Any]]],
    inputs: Any,
    move: Callable[[str], Any],
    space: Sequence[int],
    batch: int,
    tolerance: float,
    acts: Mapping[str, Act] | None = None,
    *,
    finite: bool = True,
) -> list[Response | None]:
    """Responses of everything that is computed from images to their transformations.

        error = ||f(g x) - g f(x)|| / ||g f(x)||, the largest over the arrays of a group

    On arrays `[batch, height, width, ...]` g moves positions, in shifts by the same fraction of the
    size: between positions by Fourier interpolation, or rounded to either side, whichever fits each
    image (adaptive downsampling). A rotation or flip may also permute the channels, and anything
    may in arrays without space, `[batch, ...]`: flattened pixels. Returns a response for each
    group, None where it has no array to compare.

    Args:
      run: from inputs to groups of arrays; those whose first axis is the batch are compared.
      inputs: contain the images.
      move: from the name of a transformation to the transformed inputs.
      space: height and width of the images.
      batch: number of images.
      tolerance: largest error that counts as zero.
      acts: the transformations; by default all of the space.
      finite: raise where a number is not finite; else its error is NaN.

    Raises:
      ValueError: numbers that are not finite.
    """

    def groups(inputs: Any) -> list[list[np.ndarray]]:
        return [
            [_double(array, finite) for array in group if is_batched(array, batch)]
            for group in run(inputs)
        ]

    base = groups(inputs)
    errors: list[dict[str, float]] = [{} for _ in base]
    reordered: list[set[str]] = [set() for _ in base]
    for name, act in (transformations(space) if acts is None else acts).items():
        for index, (actual, reference) in enumerate(zip(groups(move(name)), base, strict=True)):
            pairs = zip(actual, reference, strict=True)
            each = [_error(*pair, name, act, tolerance) for pair in pairs]
            errors[index][name] = float(np.max([error for error, _ in each], initial=0.0))
            if errors[index][name] <= tolerance and any(other for _, other in each):
                reordered[index].add(name)
    size = space[0], space[1]
    return [
        Response(size, of_group, frozenset(others), tolerance) if reference else None
        for of_group, others, reference in zip(errors, reordered, base, strict=True)
    ]


def is_batched(array: Any, batch: int) -> bool:
    """Whether a value is an array of real numbers whose first axis is the batch."""
    if not isinstance(array, jax.Array | np.ndarray) or array.ndim < 2 or len(array) != batch:
        return False
    return bool(jnp.issubdtype(array.dtype, jnp.floating))


def _double(array: Any, finite: bool) -> np.ndarray:
    values = np.asarray(array, np.float64)
    if np.isfinite(values).all():
        return values
    if finite:
        raise ValueError(
            f"all outputs must be finite, got numbers that are not finite in an array of shape "
            f"{array.shape}."
        )
    return np.full_like(values, np.nan)


def _error(
    actual: np.ndarray, reference: np.ndarray, name: str, act: Act, tolerance: float
) -> tuple[float, bool]:
    """Error of one array, and whether its channels had to be permuted or a shift rounded."""
    has_space = reference.ndim >= 4
    expected = act(reference) if has_space else reference
    error = _relative(actual, expected)
    if error > tolerance and (name in ROTATIONS_AND_FLIPS or not has_space):
        matched = _up_to_order(actual, expected, 3 if has_space else 1)
        if matched <= tolerance:
            return matched, True
    if error > tolerance and has_space and isinstance(act, _Shift):
        nearest = _each_nearest(actual, act.neighbours(reference))
        if nearest <= tolerance:
            return nearest, True
    return error, False


# One program for all distances.
_between_positions = jax.jit(fourier_shift)


@dataclasses.dataclass(frozen=True)
class _Shift:
    """Circular shift of the image, and its action on arrays of other sizes."""

    axis: int
    step: int
    space: tuple[int, ...]

    def __call__(self, z: np.ndarray) -> np.ndarray:
        whole, rest = divmod(self.step * z.shape[1 + self.axis], self.space[self.axis])
        if not rest:
            return np.roll(z, whole, 1 + self.axis)
        distance = whole + rest / self.space[self.axis]
        between = [distance * (axis == self.axis) for axis in (0, 1)]
        flat = z.reshape(*z.shape[:3], -1)
        return np.asarray(_between_positions(flat, between), np.float64).reshape(z.shape)

    def neighbours(self, z: np.ndarray) -> list[np.ndarray]:
        """Shifts by whole positions on both sides of one that falls between them."""
        whole, rest = divmod(self.step * z.shape[1 + self.axis], self.space[self.axis])
        return [np.roll(z, whole + more, 1 + self.axis) for more in (0, 1)] if rest else []


def _relative(actual: np.ndarray, expected: np.ndarray) -> float:
    if actual.shape != expected.shape:
        return INDEPENDENT
    difference, size = np.linalg.norm(actual - expected), np.linalg.norm(expected)
    return float(difference / size) if size else INDEPENDENT * bool(difference)


def _each_nearest(actual: np.ndarray, candidates: list[np.ndarray]) -> float:
    """Largest error over images, each compared with the most similar candidate."""
    if not candidates or actual.shape != candidates[0].shape:
        return INDEPENDENT
    return max(
        min(_relative(image, candidate[index]) for candidate in candidates)
        for index, image in enumerate(actual)
    )


def _up_to_order(actual: np.ndarray, expected: np.ndarray, first: int) -> float:
    """Error if each channel is compared with the most similar one, in both directions.

    Channels are the axes from `first` on. Similar channels are found by a few random projections;
    equal ones must be equally many on both sides, else it is not a permutation.
    """
    if actual.shape != expected.shape:
        return INDEPENDENT
    one, other = (
        array.reshape(int(np.prod(array.shape[:first])), -1) for array in (actual, expected)
    )
    sums = np.random.default_rng(0).normal(size=(len(one), min(4, len(one))))
    keys, other_keys = one.T @ sums, other.T @ sums
    tree, other_tree = KDTree(keys), KDTree(other_keys)
    radius = 1e-4 * float(np.sqrt(np.mean(keys**2)))
    counts = (
        each.query_ball_point(keys, radius, return_length=True) for each in (tree, other_tree)
    )
    if not np.array_equal(*counts):
        return INDEPENDENT
    return max(
        _relative(one, other[:, other_tree.query(keys)[1]]),
        _relative(other, one[:, tree.query(other_keys)[1]]),
    )
