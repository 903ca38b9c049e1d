"""Times of competitors that take turns, without the turns that other processes disturbed."""

import dataclasses
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BUSY = 0.1
"""Share of the machine's CPU time above which other processes disturb a turn."""

_BUCKETS, _AT_ONCE = 64, 2**22


def machine_cpu_seconds(file: Path = Path("/proc/stat")) -> float | None:
    """CPU seconds that all processes have used since the machine started; None if it cannot tell.

    Counted are user and system time, interrupts, and what a hypervisor gave to other machines, in
    steps of 10 ms or so.
    """
    try:
        fields = file.read_text(encoding="ascii").split("\n", 1)[0].split()
        user, nice, system, _idle, _waiting, *rest = map(int, fields[1:9])
        return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):  # not Linux
        return None


@dataclasses.dataclass(frozen=True)
class Clocks:
    """What tells the time, in seconds."""

    wall: Callable[[], float] = time.perf_counter
    """Time that passes."""
    process: Callable[[], float] = time.process_time
    """CPU time of this process, all threads."""
    machine: Callable[[], float | None] = machine_cpu_seconds
    """CPU time of all processes, or None where the system does not tell."""
    cores: int = os.cpu_count() or 1
    """CPU cores of the machine."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """Repeated calls of one function, and what the processors did meanwhile."""

    seconds: float
    """Seconds a call takes, the mean of the turn."""
    calls: int
    """Number of calls."""
    cores: float
    """CPU seconds of this process a second: the number of cores at work."""
    others: float | None
    """Share of the machine's CPU time that other processes took; None: the system does not tell."""

    def is_quiet(self, busy: float = BUSY) -> bool:
        """Whether others took at most the share `busy`, or it is not known."""
        return self.others is None or self.others <= busy


@dataclasses.dataclass(frozen=True)
class Quartiles:
    """Median and quartiles of quiet turns; of all turns if none was quiet."""

    lower: float
    median: float
    upper: float
    counted: int
    """Turns that these are of."""
    discarded: int
    """Turns left out, because other processes disturbed them."""
    quiet: bool
    """Whether the turns counted were undisturbed."""


def timed_turn(
    call: Callable[[], Any], *, least_seconds: float = 0.2, clocks: Clocks | None = None
) -> Turn:
    """Call a function again and again for so many seconds, at least once.

    Args:
      call: returns when its results are ready.
      least_seconds: the turn ends with the call that reaches them; others' load is resolved in
        steps of about 10 ms.
      clocks: what tells the time.
    """
    clocks = Clocks() if clocks is None else clocks
    calls, elapsed = 0, 0.0
    machine, process, start = clocks.machine(), clocks.process(), clocks.wall()
    while not calls or elapsed < least_seconds:
        call()
        calls += 1
        elapsed = clocks.wall() - start
    own, after = clocks.process() - process, clocks.machine()
    others = None
    if machine is not None and after is not None:
        others = max(0.0, after - machine - own) / (elapsed * clocks.cores)
    return Turn(elapsed / calls, calls, own / elapsed, others)


def interleaved_turns(
    competitors: Mapping[str, Callable[[int], Turn]],
    *,
    rounds: int = 7,
    most_rounds: int | None = None,
    seed: int = 0,
    busy: float = BUSY,
) -> dict[str, list[Turn]]:
    """One turn of each competitor a round, in another order every round.

    A round in which other processes disturbed a turn is followed by one more; the disturbed turn
    stays in the list, where `Turn.is_quiet` tells it apart.

    Args:
      competitors: `competitor(round)` takes the turn of that round, from 0, with inputs of its own;
        the same for all competitors if they are made from this number.
      rounds: number of undisturbed rounds after which to end.
      most_rounds: number of rounds after which to end in any case; twice `rounds` by default.
      seed: of the orders.
      busy: largest share of the machine's CPU time that others may take.

    Returns:
      The turns of each competitor, one a round.

    Raises:
      ValueError: `rounds` below 1, or `most_rounds` below `rounds`.
    """
    most_rounds = 2 * rounds if most_rounds is None else most_rounds
    if not 1 <= rounds <= most_rounds:
        raise ValueError(
            f"`rounds` must be at least 1 and at most `most_rounds`, got {rounds!r} and "
            f"{most_rounds!r}."
        )
    order = random.Random(seed)
    turns: dict[str, list[Turn]] = {name: [] for name in competitors}
    undisturbed = 0
    for number in range(most_rounds):
        for name in order.sample(list(competitors), len(competitors)):
            turns[name].append(competitors[name](number))
        undisturbed += all(each[-1].is_quiet(busy) for each in turns.values())
        if undisturbed == rounds:
            break
    return turns


def turn_quartiles(turns: Sequence[Turn], busy: float = BUSY) -> Quartiles:
    """Median and quartiles of the seconds of a call."""
    return _quartiles([each.seconds for each in turns], [each.is_quiet(busy) for each in turns])


def speedup_quartiles(
    ours: Sequence[Turn], theirs: Sequence[Turn], busy: float = BUSY
) -> Quartiles:
    """Median and quartiles of `their seconds / our seconds`, round by round.

    Above 1 ours is faster. Both have one turn a round; a round counts in which both are quiet.
    """
    rounds = list(zip(ours, theirs, strict=True))
    return _quartiles(
        [their.seconds / our.seconds for our, their in rounds],
        [our.is_quiet(busy) and their.is_quiet(busy) for our, their in rounds],
    )


@dataclasses.dataclass(frozen=True)
class Sketch:
    """A short summary of an array, from which its distance from another can be told."""

    shape: tuple[int, ...]
    """Shape of the array."""
    norm: float
    """Square root of the sum of squares."""
    sums: tuple[float, ...]
    """Sums of the entries in random buckets, each entry with a random sign."""


def array_sketch(array: Any) -> Sketch:
    """Sum the entries of an array in 64 buckets, with signs; both are drawn, always the same ones.

    Source: Charikar, Chen, Farach-Colton, Finding frequent items in data streams, 2002.
    """
    array = np.asarray(array)
    random, flat = np.random.default_rng(0), array.ravel()
    sums, squares = np.zeros(_BUCKETS), 0.0
    for start in range(0, flat.size, _AT_ONCE):
        entries = flat[start : start + _AT_ONCE].astype(np.float64)
        drawn = random.integers(0, 2 * _BUCKETS, entries.size, np.uint8)
        signed = np.where(drawn < _BUCKETS, entries, -entries)
        sums += np.bincount(drawn % _BUCKETS, signed, _BUCKETS)
        squares += float(entries @ entries)
    return Sketch(array.shape, math.sqrt(squares), tuple(sums.tolist()))


def sketch_distance(first: Sketch, second: Sketch) -> float:
    """Distance of two arrays, relative to the longer, to about a tenth; infinite for other shapes.

    It is NaN if an array holds a number that is not finite.
    """
    if tuple(first.shape) != tuple(second.shape):
        return math.inf
    difference = np.subtract(first.sums, second.sums)
    longer = np.maximum(first.norm, second.norm)  # NaN if either is
    return 0.0 if longer == 0 else float(np.linalg.norm(difference) / longer)


def _quartiles(values: Sequence[float], quiet: Sequence[bool]) -> Quartiles:
    kept = [value for value, undisturbed in zip(values, quiet, strict=True) if undisturbed]
    counted = kept or list(values)
    lower, median, upper = (
        statistics.quantiles(counted, n=4, method="inclusive")
        if len(counted) > 1
        else 3 * counted[:1]
    )
    return Quartiles(
        lower, median, upper, len(counted), len(values) - len(counted), quiet=bool(kept)
    )
