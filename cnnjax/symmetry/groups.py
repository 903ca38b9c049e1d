"""Finite groups of transformations, and their actions on images and on regular features.

A group is a multiplication table and an action on images. Elements are integers, 0 the identity.
Regular features f, `[*leading, *space, group, channels]`, hold a value for every element and
transform with the image, h x, as

    (h f)[p, g] = f[h^-1 p, h^-1 g]
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.symmetry.transformations import Interpolation, flip, rotate, rotate90

Action = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """A finite group that acts on images."""

    table: np.ndarray
    """Multiplication table, integers `[order, order]`: `table[g, h]` applies h, then g."""
    act: Callable[[int, jax.Array], jax.Array]
    """Action `act(element, x)` on images or feature maps `[*leading, *space, channels]`."""

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.table)

    @property
    def inverses(self) -> np.ndarray:
        """Inverse of every element, integers `[order]`."""
        return np.argwhere(self.table == 0)[:, 1]

    def act_on_regular(self, element: int, f: jax.Array) -> jax.Array:
        """Action of an element on regular features `[*leading, *space, group, channels]`.

        Raises:
          ValueError: features of another group.
        """
        if f.ndim < 3 or f.shape[-2] != self.order:
            raise ValueError(
                f"`f` must be [*leading, *space, {self.order}, channels], regular features of a "
                f"group of {self.order} elements, got shape {f.shape}."
            )
        sources = self.table[self.inverses[element]]
        moved = self.act(element, f.reshape(*f.shape[:-2], -1)).reshape(f.shape)
        return moved[..., sources, :]

    def actions(self) -> list[Action]:
        """Actions of all elements on images."""
        return [functools.partial(self.act, element) for element in range(self.order)]

    def regular_actions(self) -> list[Action]:
        """Actions of all elements on regular features, as functions."""
        return [functools.partial(self.act_on_regular, element) for element in range(self.order)]


def dihedral(rotations: int, *, interpolation: Interpolation = "fourier") -> Group:
    """Dihedral group D_n of n rotations, with and without a reflection first; 2 n elements.

    Element k + n m reflects left-right if m is 1, then rotates by 2 pi k / n, counter-clockwise:
    r^k s^m, as in `cnnjax.ops.group_conv` for n = 4. Multiples of 90 degrees are exact; others are
    interpolated as by `rotate`, so that the group law holds up to the error of interpolation.

    Raises:
      ValueError: rotations below 1.
    """
    if rotations < 1:
        raise ValueError(f"`rotations` must be at least 1, got {rotations!r}.")
    power, reflected = np.arange(2 * rotations) % rotations, np.arange(2 * rotations) // rotations
    # s r = r^-1 s
    sign = np.where(reflected == 1, -1, 1)
    total = (power[:, None] + sign[:, None] * power) % rotations
    table = total + rotations * ((reflected[:, None] + reflected) % 2)

    def act(element: int, x: jax.Array) -> jax.Array:
        x = flip(x, -2) if element >= rotations else x
        return _rotated(x, element % rotations, rotations, interpolation)

    return Group(table, act)


def cyclic(rotations: int, *, interpolation: Interpolation = "fourier") -> Group:
    """Cyclic group C_n of n rotations: the elements of `dihedral` that do not reflect."""
    group = dihedral(rotations, interpolation=interpolation)
    return Group(group.table[:rotations, :rotations], group.act)


def _rotated(x: jax.Array, number: int, order: int, interpolation: Interpolation) -> jax.Array:
    # Elements 90 degrees apart differ by an exact rotation, also where 45 degrees is rounded.
    quarters, rest = divmod(4 * number, order)
    if rest:
        angle = math.pi / 2 * rest / order
        x = rotate(jnp.asarray(x), angle, interpolation=interpolation)
    return rotate90(x, quarters)
