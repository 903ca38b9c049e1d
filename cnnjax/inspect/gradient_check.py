"""Check of automatic differentiation against finite differences."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# A step h has relative errors of h^2 by truncation and eps / h by rounding. float32 is for
# functions that compute in it whatever their input; bfloat16 is too coarse for differences.
_STEPS = {"float64": 1e-5, "float32": 1e-2}
_TOLERANCES = {"float64": 1e-6, "float32": 1e-2}


@dataclasses.dataclass(frozen=True)
class GradientCheck:
    """Relative errors of derivatives, by argument."""

    errors: dict[str, float]
    """Relative error by path of the array: 0 is exact, 1 for a zero in place of the derivative."""
    tolerance: float
    """Largest error that rounding and truncation explain."""
    dtype: str
    """Type in which the function computed: float32 where its values are rounded to it, too."""

    @property
    def passed(self) -> bool:
        """Whether every error is within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())


def check_gradients(
    function: Callable[..., jax.Array], *arguments: Any, directions: int = 3
) -> GradientCheck:
    """Compare reverse-mode derivatives with central differences, in float64 where possible.

        <dF/da, v>  against  (F(a + h v) - F(a - h v)) / 2h,    F = <c, f>, c and v Gaussian noise

    one array a at a time, and the error relative to the differences over all directions v.

    Args:
      function: from trees of arrays to one array.
      *arguments: where to differentiate.
      directions: number of directions v for each array.

    Raises:
      ValueError: the function computes in a type too coarse for finite differences.
    """
    with jax.enable_x64(True):
        arguments = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), arguments)
        shape = jax.eval_shape(function, *arguments)
        if shape.dtype.name not in _STEPS:
            raise ValueError(
                f"the output of `function` must be float32 or float64, got {shape.dtype}."
            )
        noise = np.random.default_rng(0)
        c = noise.normal(size=shape.shape)

        @jax.jit
        def objective(arguments):
            values = function(*arguments)
            return jnp.vdot(c, values.astype(jnp.float64)), values

        gradients = jax.tree.leaves(jax.jit(jax.grad(objective, has_aux=True))(arguments)[0])
        named, tree = jax.tree_util.tree_flatten_with_path(arguments)
        leaves, errors = [leaf for _, leaf in named], {}
        # Between the numbers of float32: values that are among them were rounded on the way.
        between = jax.tree.map(lambda leaf: leaf + 1e-9 * noise.normal(size=leaf.shape), arguments)
        values = np.asarray(objective(between)[1])
        rounded = np.array_equal(values, values.astype(np.float32))
        computed = "float32" if rounded else shape.dtype.name
        step = _STEPS[computed]

        def moved(index, amount):
            others = leaves[:index], leaves[index + 1 :]
            return objective(tree.unflatten([*others[0], leaves[index] + amount, *others[1]]))[0]

        for index, ((path, _), gradient) in enumerate(zip(named, gradients, strict=True)):
            differences, products = [], []
            for _ in range(directions):
                v = noise.normal(size=gradient.shape)
                change = moved(index, step * v) - moved(index, -step * v)
                differences.append(float(change) / (2 * step))
                products.append(float(np.vdot(gradient, v)))
            errors[jax.tree_util.keystr(path)] = _relative(
                np.array(products), np.array(differences)
            )
    return GradientCheck(errors, _TOLERANCES[computed], computed)


def _relative(actual: np.ndarray, expected: np.ndarray) -> float:
    error, size = np.linalg.norm(actual - expected), np.linalg.norm(expected)
    if error == 0:
        return 0.0
    return float(error / size) if size else float("inf")
