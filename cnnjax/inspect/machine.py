"""Measured peak performance of this machine."""

import dataclasses

import jax
import jax.numpy as jnp

from cnnjax.inspect.timing import interleaved_seconds


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
    seconds = interleaved_seconds(
        {
            "product": lambda: product(matrix, matrix),
            "addition": lambda: addition(array, other),
        },
        rounds=rounds,
    )
    return MachineLimits(
        multiply_adds_per_second=size**3 / seconds["product"]["least"],
        bytes_per_second=3 * array.nbytes / seconds["addition"]["least"],
    )
