"""Times of functions to be compared, under the same disturbances."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax


def interleaved_seconds(
    functions: Mapping[str, Callable[[], Any]], *, rounds: int = 9
) -> dict[str, dict[str, float]]:
    """Seconds that each function takes, interleaved: one call of each, then the next round.

    Disturbances of the machine affect all functions alike; the median is robust to outliers.

    Args:
      functions: functions without arguments, by name; each is called once before, to compile.
        Calls are timed until their results are ready.
      rounds: number of timed calls of each.

    Returns:
      For each name the `median` and the minimum of its times, `least`.

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
