"""Times of functions that are to be compared, under the same disturbances."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax


def interleaved_seconds(
    functions: Mapping[str, Callable[[], Any]], *, rounds: int = 9
) -> dict[str, dict[str, float]]:
    """Seconds that each function takes, measured in turns: one call of each, then the next round.

    What disturbs the machine for a while disturbs all alike; the median forgets single outliers.

    Args:
      functions: without arguments, under their names; each is called once before, to compile. What
        they return is waited for.
      rounds: timed calls of each.

    Returns:
      For each name the `median` and the smallest of its times, `least`.

    Raises:
      ValueError: no rounds.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds!r}.")
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
