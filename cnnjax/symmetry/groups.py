"""Finite groups of transformations, and what they do to images and to regular features.

A group is its multiplication table and what each element does to an image. Elements are numbers, 0
the identity. Regular features, `[*leading, *space, group, channels]`, hold a value for every
element and follow an image h x as

    (h f)[p, g] = f[h^-1 p, h^-1 g]
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.resampling import Interpolation, rotate
from cnnjax.symmetry.transformations import flip, rotate90, shift

Action = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """A finite group that acts on images."""

    table: np.ndarray
    """Integers `[order, order]`: `table[g, h]` is the element that applies h, then g."""
    act: Callable[[int, jax.Array], jax.Array]
    """`act(element, x)`: images or spatial features `[*leading, *space, channels]`, transformed."""

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.table)

    @property
    def inverses(self) -> np.ndarray:
        """Integers `[order]`: the element that undoes each."""
        return np.argwhere(self.table == 0)[:, 1]

    def regular_representation(self, element: int) -> np.ndarray:
        """The permutation matrix `[order, order]` that takes basis vector h to basis vector gh."""
        matrix = np.zeros((self.order, self.order))
        matrix[self.table[element], np.arange(self.order)] = 1
        return matrix

    def act_on_regular(self, element: int, f: jax.Array) -> jax.Array:
        """Transform regular features `[*leading, *space, group, channels]`: space and group.

        Raises:
          ValueError: features of another group.
        """
        if f.ndim < 3 or f.shape[-2] != self.order:
            raise ValueError(
                f"regular features of a group of {self.order} elements must be [*leading, *space, "
                f"{self.order}, channels], got shape {f.shape}."
            )
        sources = self.table[self.inverses[element]]
        moved = self.act(element, f.reshape(*f.shape[:-2], -1)).reshape(f.shape)
        return moved[..., sources, :]

    def actions(self) -> list[Action]:
        """What every element does to images, as functions."""
        return [functools.partial(self.act, element) for element in range(self.order)]

    def regular_actions(self) -> list[Action]:
        """What every element does to regular features, as functions."""
        return [functools.partial(self.act_on_regular, element) for element in range(self.order)]


def translations(space: Sequence[int], steps: Sequence[int]) -> Group:
    """Circular shifts by multiples of `steps`: the product of the cyclic groups Z / (size / step).

    Args:
      space: sizes of the spatial axes.
      steps: of each axis, divisors of the sizes; an axis' size leaves it alone.

    Raises:
      ValueError: a step that does not divide its axis.
    """
    if len(space) != len(steps) or any(s < 1 or size % s for size, s in zip(space, steps)):
        raise ValueError(
            f"steps must divide the sizes {tuple(space)}, one an axis, got {tuple(steps)}."
        )
    orders = tuple(size // step for size, step in zip(space, steps, strict=True))
    elements = np.array(list(np.ndindex(*orders)))
    sums = (elements[:, None] + elements[None]) % np.array(orders)

    def act(element: int, x: jax.Array) -> jax.Array:
        return shift(x, [int(move) for move in elements[element] * np.array(steps)])

    return Group(np.ravel_multi_index(tuple(np.moveaxis(sums, -1, 0)), orders), act)


def cyclic(order: int, *, interpolation: Interpolation = "fourier") -> Group:
    """C_n: rotations by multiples of 2 pi / n. Element k makes k of them, counter-clockwise.

    Quarter turns are exact; other angles are interpolated, so that the group's law holds in so far
    as interpolation loses nothing.

    Args:
      order: n, at least 1.
      interpolation: of `rotate`, for angles that are no quarter turns.

    Raises:
      ValueError: no elements.
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order!r}.")
    elements = np.arange(order)
    return Group(
        (elements[:, None] + elements) % order,
        lambda element, x: _turn(x, element, order, interpolation),
    )


def dihedral(turns: int, *, interpolation: Interpolation = "fourier") -> Group:
    """D_n: n rotations, with and without a mirroring first; 2 n elements.

    Element k + n m mirrors left-right if m is 1, then makes k rotations by 2 pi / n: r^k s^m, as in
    `cnnjax.ops.group_conv` for n = 4.

    Args:
      turns: n, at least 1.
      interpolation: as for `cyclic`.

    Raises:
      ValueError: no rotations.
    """
    if turns < 1:
        raise ValueError(f"turns must be at least 1, got {turns!r}.")
    turn, mirrored = np.arange(2 * turns) % turns, np.arange(2 * turns) // turns
    # s r = r^-1 s
    sign = np.where(mirrored == 1, -1, 1)
    total = (turn[:, None] + sign[:, None] * turn) % turns
    table = total + turns * ((mirrored[:, None] + mirrored) % 2)

    def act(element: int, x: jax.Array) -> jax.Array:
        x = flip(x, -2) if element >= turns else x
        return _turn(x, element % turns, turns, interpolation)

    return Group(table, act)


def _turn(x: jax.Array, number: int, order: int, interpolation: Interpolation) -> jax.Array:
    # Elements that differ by quarter turns differ by exact ones, also where 45 degrees is rounded.
    quarters, rest = divmod(4 * number, order)
    if rest:
        angle = math.pi / 2 * rest / order
        x = rotate(jnp.asarray(x), angle, interpolation=interpolation)
    return rotate90(x, quarters)
