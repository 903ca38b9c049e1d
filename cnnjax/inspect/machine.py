"""What this machine can do at most, measured."""

import dataclasses

import jax
import jax.numpy as jnp

from cnnjax.inspect.timing import interleaved_seconds


@dataclasses.dataclass(frozen=True)
class MachineLimits:
    """Limits of the default device in float32."""

    multiply_adds_per_second: float
    """Of a large matrix product."""
    bytes_per_second: float
    """Read and written by a sum of two arrays that fit no cache."""

    def least_seconds(self, multiply_adds: float, bytes_moved: float) -> float:
        """The roofline: `max(multiply_adds / their rate, bytes / their rate)`.

        Source: Williams, Waterman, Patterson, Roofline: an insightful visual performance model,
        2009.
        """
        return max(
            multiply_adds / self.multiply_adds_per_second, bytes_moved / self.bytes_per_second
        )


def machine_limits(*, size: int = 1024, entries: int = 2**24, rounds: int = 5) -> MachineLimits:
    """Measure both limits, by the fastest of `rounds` calls each; a second on two CPU cores.

    Args:
      size: of the square matrices that are multiplied.
      entries: of the float32 arrays that are added, 64 MiB each by default.
      rounds: timed calls.
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
