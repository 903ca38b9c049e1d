"""The Lie algebra of the affine maps of the plane: generators, and their exponential."""

import types
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

GENERATORS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = (
    types.MappingProxyType(
        {
            "down": ((0, 0, 1), (0, 0, 0)),
            "right": ((0, 0, 0), (0, 0, 1)),
            "rotation": ((0, -1, 0), (1, 0, 0)),
            "scaling": ((1, 0, 0), (0, 1, 0)),
            "stretching": ((1, 0, 0), (0, -1, 0)),
            "shearing": ((0, 1, 0), (1, 0, 0)),
        }
    )
)
"""Generators of the affine maps, rows of matrices on (down, right, 1): translation by a length,
rotation by a radian, counter-clockwise on a screen, enlargement by e, and the two that change
shapes but no areas."""

_HALVINGS = 4
_TERMS = 8


def affine_exponential(
    amounts: jax.Array, generators: Sequence[str] = tuple(GENERATORS)
) -> tuple[jax.Array, jax.Array]:
    """Affine maps `p -> matrix p + offset` that are exponentials of sums of generators.

        [[matrix, offset], [0, 1]] = exp(sum over i of amounts[i] generators[i])

    A translation is by `offset` in the unit of its amount. The Taylor series of a sixteenth of the
    sum, to the 8th order, four times squared: to rounding for sums of a norm of up to 10. Returns
    `[*leading, 2, 2]` and `[*leading, 2]`, both on (down, right), differentiable in the amounts.
    (`jax.scipy.linalg.expm`, of matrices of any norm, takes five times as long to compile.)
    Source: Benton, Finzi, Izmailov, Wilson, Learning invariances in neural networks from training
    data, 2020, section 3.2 (the parametrisation).

    Args:
      amounts: `[*leading, generators]`.
      generators: their names in `GENERATORS`, in the order of the amounts.

    Raises:
      ValueError: an unknown generator, or not an amount for each.
    """
    unknown = [name for name in generators if name not in GENERATORS]
    if unknown or not generators:
        raise ValueError(
            f"`generators` must be among {', '.join(GENERATORS)}, got {tuple(generators)}."
        )
    if amounts.ndim < 1 or amounts.shape[-1] != len(generators):
        raise ValueError(
            f"`amounts` must be [*leading, {len(generators)}], one for each generator, got shape "
            f"{amounts.shape}."
        )
    basis = np.array([(*GENERATORS[name], (0, 0, 0)) for name in generators], np.float32)
    element = jnp.einsum("...i,ijk->...jk", amounts, basis, precision="highest") / 2**_HALVINGS
    term = power = jnp.broadcast_to(jnp.eye(3, dtype=element.dtype), element.shape)
    for order in range(1, _TERMS + 1):
        term = _product(term, element) / order
        power = power + term
    for _ in range(_HALVINGS):
        power = _product(power, power)
    return power[..., :2, :2], power[..., :2, 2]


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")
