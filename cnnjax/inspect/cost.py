"""Cost of any function, counted from its jaxpr."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core


def multiply_adds(function: Callable, *arguments) -> int:
    """Number of multiply-adds of the convolutions and matrix products of a function.

    A convolution counts output size * window * in/groups, with those in the zero padding; a product
    `[m, k] [k, n]` counts m k n. Sums, biases and activations are not counted. The most expensive
    of several branches counts; every iteration of a loop does, one of a `while`. Arguments are
    arrays or `jax.ShapeDtypeStruct`.
    """
    return _of_jaxpr(jax.make_jaxpr(function)(*arguments).jaxpr)


def parameter_count(parameters) -> int:
    """Number of entries in all arrays of a tree."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(parameters))


def bytes_moved(function: Callable, *arguments) -> int:
    """Least number of bytes that a function reads and writes: its arguments and outputs, once each.

    Intermediate results are assumed to stay in the caches. Arguments as of `multiply_adds`.
    """
    outputs = jax.eval_shape(function, *arguments)
    leaves = jax.tree.leaves((arguments, outputs))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def arithmetic_intensity(function: Callable, *arguments) -> float:
    """Arithmetic intensity: multiply-adds per byte moved, `multiply_adds / bytes_moved`.

    Source: Williams, Waterman, Patterson, Roofline: an insightful visual performance model, 2009
    (they count a multiply-add as two operations).
    """
    return multiply_adds(function, *arguments) / bytes_moved(function, *arguments)


def _of_jaxpr(jaxpr: core.Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: core.JaxprEqn) -> int:
    name = equation.primitive.name
    if name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        dimensions = equation.params["dimension_numbers"]
        features = kernel[dimensions.rhs_spec[0]]
        products = math.prod(_shape(equation.outvars[0])) * math.prod(kernel) // features
        # Products with the zeros between the entries of a dilated input do not count.
        return products // math.prod(equation.params["lhs_dilation"])
    if name == "dot_general":
        contracted, _ = equation.params["dimension_numbers"]
        shape = _shape(equation.invars[0])
        summed = math.prod(shape[axis] for axis in contracted[0])
        return math.prod(_shape(equation.outvars[0])) * summed
    inner = [_of_jaxpr(jaxpr) for jaxpr in _inner_jaxprs(equation)]
    if name == "cond":
        return max(inner)
    return sum(inner) * (equation.params["length"] if name == "scan" else 1)


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _inner_jaxprs(equation: core.JaxprEqn) -> list[core.Jaxpr]:
    found = []
    for parameter in equation.params.values():
        for each in parameter if isinstance(parameter, (tuple, list)) else (parameter,):
            if isinstance(each, core.ClosedJaxpr):
                found.append(each.jaxpr)
            elif isinstance(each, core.Jaxpr):
                found.append(each)
    return found
