"""Turns against a clock that is told what happens: medians, quartiles, load of others, sketches."""

import itertools
import math

import numpy as np
import pytest

from cnnjax.inspect import (
    Clocks,
    Turn,
    array_sketch,
    interleaved_turns,
    machine_cpu_seconds,
    sketch_distance,
    speedup_quartiles,
    timed_turn,
    turn_quartiles,
)

QUIET, BUSY = 0.02, 0.5
"""Shares of the CPU time that others take."""


def turns(seconds, others=QUIET):
    return [Turn(each, 1, 1.0, others) for each in seconds]


class Machine:
    """A machine of four cores on which time passes only in calls."""

    def __init__(self, call=0.25, own=0.5, others=0.0625):
        self.call, self.own, self.others = call, own, others
        self.calls = 0

    def __call__(self):
        self.calls += 1

    def clocks(self, tells=True):
        return Clocks(
            wall=lambda: 7 + self.call * self.calls,
            process=lambda: 3 + self.own * self.calls,
            machine=lambda: 100 + (self.own + self.others) * self.calls if tells else None,
            cores=4,
        )


@pytest.mark.fast
def test_a_turn_is_the_mean_of_its_calls_and_tells_own_cores_from_others():
    machine = Machine()
    turn = timed_turn(machine, least_seconds=0.9, clocks=machine.clocks())
    assert (turn.calls, turn.seconds, turn.cores) == (4, 0.25, 2.0)
    assert turn.others == 0.0625 / (0.25 * 4)
    assert turn.is_quiet()
    assert not turn.is_quiet(0.06)


@pytest.mark.fast
def test_one_call_is_a_turn_and_an_unknown_load_is_no_load():
    machine = Machine(call=5.0)
    turn = timed_turn(machine, clocks=machine.clocks(tells=False))
    assert (turn.calls, turn.others) == (1, None)
    assert turn.is_quiet(0.0)


@pytest.mark.fast
def test_cpu_seconds_are_all_but_idle_and_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_CLK_TCK": 100}.__getitem__)
    file = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice; guest is part of user
    file.write_text("cpu  100 20 30 9000 800 4 5 6 70 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert machine_cpu_seconds(file) == 1.65
    assert machine_cpu_seconds(tmp_path / "missing") is None
    file.write_text("nothing of the kind")
    assert machine_cpu_seconds(file) is None


@pytest.mark.fast
def test_each_takes_a_turn_a_round_in_changing_order():
    taken = []

    def competitor(name):
        return lambda number: taken.append((number, name)) or turns([1.0])[0]

    names = "abc"
    found = interleaved_turns({name: competitor(name) for name in names}, rounds=20)
    rounds = [taken[start : start + 3] for start in range(0, 60, 3)]
    assert [{name for _, name in each} for each in rounds] == 20 * [set(names)]
    assert [{number for number, _ in each} for each in rounds] == [{n} for n in range(20)]
    assert len({tuple(name for _, name in each) for each in rounds}) > 3
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(names, 20)


@pytest.mark.fast
def test_a_disturbed_round_is_followed_by_another_and_discarded():
    loads = {"a": itertools.cycle([QUIET, BUSY, QUIET]), "b": itertools.repeat(None)}
    seconds = {"a": itertools.count(1.0), "b": itertools.count(10.0)}
    found = interleaved_turns(
        {n: lambda _, n=n: Turn(next(seconds[n]), 1, 1.0, next(loads[n])) for n in "ab"}, rounds=3
    )
    assert [turn.seconds for turn in found["a"]] == [1, 2, 3, 4]
    ours = turn_quartiles(found["a"])
    assert (ours.median, ours.counted, ours.discarded, ours.quiet) == (3, 3, 1, True)
    ratio = speedup_quartiles(found["a"], found["b"])
    assert (ratio.counted, ratio.median) == (3, 12 / 3)


@pytest.mark.fast
def test_a_machine_that_is_always_busy_ends_and_says_so():
    found = interleaved_turns({"a": lambda _: turns([2.0], BUSY)[0]}, rounds=3, most_rounds=5)
    assert len(found["a"]) == 5
    quartiles = turn_quartiles(found["a"])
    assert (quartiles.median, quartiles.quiet) == (2, False)
    assert (quartiles.counted, quartiles.discarded) == (5, 0)
    for rounds, most in ((0, None), (3, 2)):
        with pytest.raises(ValueError, match="`rounds` must be at least 1 and at most"):
            interleaved_turns({}, rounds=rounds, most_rounds=most)


@pytest.mark.fast
def test_quartiles_by_hand():
    found = turn_quartiles(turns([5, 1, 4, 2, 3]))
    assert (found.lower, found.median, found.upper, found.counted) == (2, 3, 4, 5)
    (alone,) = {turn_quartiles(turns([7]))}
    assert (alone.lower, alone.median, alone.upper) == (7, 7, 7)


@pytest.mark.fast
def test_above_one_ours_is_faster_round_by_round():
    found = speedup_quartiles(turns([1, 10, 100]), turns([2, 20, 200]))
    assert (found.lower, found.median, found.upper) == (2, 2, 2)
    disturbed = speedup_quartiles([*turns([1]), *turns([1], BUSY)], turns([3, 100]))
    assert (disturbed.median, disturbed.counted, disturbed.discarded) == (3, 1, 1)
    disturbed = speedup_quartiles(turns([1, 1]), [*turns([100], BUSY), *turns([3])])
    assert (disturbed.median, disturbed.counted, disturbed.discarded) == (3, 1, 1)


@pytest.mark.fast
def test_sketches_tell_the_distance_of_arrays():
    random = np.random.default_rng(1)
    array = random.normal(size=(30, 40))
    changed = array + 1e-3 * random.normal(size=array.shape)
    assert sketch_distance(array_sketch(array), array_sketch(array.copy())) == 0
    assert sketch_distance(array_sketch(array), array_sketch(changed)) == pytest.approx(
        1e-3, rel=0.3
    )
    # A constant is as far from zero as it is long, which sums without signs would not tell.
    moved = sketch_distance(array_sketch(array), array_sketch(array + 1e-3))
    assert moved == pytest.approx(1e-3, rel=0.4)
    assert sketch_distance(array_sketch(array), array_sketch(array[::-1])) > 0.5
    assert sketch_distance(array_sketch(array), array_sketch(array.T)) == math.inf
    zero = np.zeros(3)
    assert array_sketch([3.0, 4.0]).norm == 5
    assert sketch_distance(array_sketch(zero), array_sketch(zero)) == 0
    assert math.isnan(sketch_distance(array_sketch(zero), array_sketch(zero + np.nan)))
