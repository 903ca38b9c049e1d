"""Cost of any function, counted from its jaxpr or measured, and the limits of this machine."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
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


def interleaved_seconds(
    functions: Mapping[str, Callable[[], Any]], *, rounds: int = 9
) -> dict[str, dict[str, float]]:
    """Seconds that each function takes, interleaved: one call of each, then the next round.

    Disturbances of the machine affect all functions alike; the median is robust to outliers.
    Returns for each name the `median` and the minimum of its times, `least`.

    Args:
      functions: functions without arguments, by name; each is called once before, to compile.
        Calls are timed until their results are ready.
      rounds: number of timed calls of each.

    Raises:
      ValueError: rounds below 1.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1, got {rounds!r}.")
    for function in functions.values():
        jax.block_until_ready(function())
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function())
            seconds[name].append(time.perf_counter() - start)
    return {
        name: {"median": statistics.median(times), "least": min(times)}
        for name, times in seconds.items()
    }


@dataclasses.dataclass(frozen=True)
class CompiledProgram:
    """A function compiled for arguments of given shapes."""

    call: Callable
    """The compiled function."""
    compile_seconds: float
    """Seconds that XLA took, without tracing; little if it took the program from its cache."""
    temporary_bytes: int | None
    """Memory for intermediate results; None where the backend does not tell."""


def compiled_program(function: Callable, *arguments) -> CompiledProgram:
    """Compile a function for these arguments: arrays or `jax.ShapeDtypeStruct`."""
    lowered = jax.jit(function).lower(*arguments)
    start = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    return CompiledProgram(compiled, seconds, None if memory is None else memory.temp_size_in_bytes)


@dataclasses.dataclass(frozen=True)
class MachineLimits:
    """Peak rates of the default device in float32."""

    multiply_adds_per_second: float
    """Rate of a large matrix product."""
    bytes_per_second: float
    """Bytes read and written by the sum of two arrays that exceed the caches."""

    def least_seconds(self, multiply_adds: float, bytes_moved: float) -> float:
        """Roofline: the larger of the times at the peak rates of arithmetic and memory.

            max(multiply_adds / multiply_adds_per_second, bytes_moved / bytes_per_second)

        Source: Williams, Waterman, Patterson, Roofline: an insightful visual performance model,
        2009.
        """
        return max(
            multiply_adds / self.multiply_adds_per_second, bytes_moved / self.bytes_per_second
        )


def machine_limits(*, size: int = 1024, entries: int = 2**24, rounds: int = 5) -> MachineLimits:
    """Measure both rates, by the fastest of `rounds` calls each; a second on two CPU cores.

    Args:
      size: size of the square matrices that are multiplied.
      entries: number of entries of the float32 arrays that are added, 64 MiB each by default.
      rounds: number of timed calls.
    """
    matrix = jnp.ones((size, size))
    array, other = jnp.ones(entries), jnp.zeros(entries)
    product, addition = jax.jit(jnp.matmul), jax.jit(jnp.add)
    calls = {"product": lambda: product(matrix, matrix), "sum": lambda: addition(array, other)}
    seconds = interleaved_seconds(calls, rounds=rounds)
    return MachineLimits(
        multiply_adds_per_second=size**3 / seconds["product"]["least"],
        bytes_per_second=3 * array.nbytes / seconds["sum"]["least"],
    )


def _of_jaxpr(jaxpr: core.Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: core.JaxprEqn) -> int:
    name = equation.primitive.name
    if name == "conv_general_dilated":
        kernel = shape_of(equation.invars[1])
        dimensions = equation.params["dimension_numbers"]
        features = kernel[dimensions.rhs_spec[0]]
        products = math.prod(shape_of(equation.outvars[0])) * math.prod(kernel) // features
        # Products with the zeros between the entries of a dilated input do not count.
        return products // math.prod(equation.params["lhs_dilation"])
    if name == "dot_general":
        contracted, _ = equation.params["dimension_numbers"]
        shape = shape_of(equation.invars[0])
        summed = math.prod(shape[axis] for axis in contracted[0])
        return math.prod(shape_of(equation.outvars[0])) * summed
    inner = [_of_jaxpr(jaxpr) for jaxpr in _inner_jaxprs(equation)]
    if name == "cond":
        return max(inner)
    return sum(inner) * (equation.params["length"] if name == "scan" else 1)


def shape_of(variable: Any) -> tuple[int, ...]:
    """Shape of a variable of a jaxpr."""
    return variable.aval.shape


def _inner_jaxprs(equation: core.JaxprEqn) -> list[core.Jaxpr]:
    found = []
    for parameter in equation.params.values():
        for each in parameter if isinstance(parameter, (tuple, list)) else (parameter,):
            inner = each.jaxpr if isinstance(each, core.ClosedJaxpr) else each
            if isinstance(inner, core.Jaxpr):
                found.append(inner)
    return found
