"""Times of functions to be compared, and the peak performance of this machine."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp


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
