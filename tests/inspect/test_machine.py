"""Bytes, intensities and limits by hand; times in turns."""

import jax
import jax.numpy as jnp
import pytest

from cnnjax.inspect import (
    MachineLimits,
    arithmetic_intensity,
    bytes_moved,
    compiled_program,
    interleaved_seconds,
    machine_limits,
)


@pytest.mark.fast
def test_bytes_are_those_of_arguments_and_outputs():
    x = jax.ShapeDtypeStruct((4, 8), jnp.float32)
    kernel = jax.ShapeDtypeStruct((8, 2), jnp.bfloat16)
    product = lambda x, kernel: x @ kernel.astype(jnp.float32)
    assert bytes_moved(product, x, kernel) == 4 * 32 + 2 * 16 + 4 * 8
    assert arithmetic_intensity(product, x, kernel) == 64 / 192


@pytest.mark.fast
def test_the_roofline_is_the_dearer_of_computing_and_moving():
    limits = MachineLimits(multiply_adds_per_second=100.0, bytes_per_second=10.0)
    assert limits.least_seconds(200, 5) == 2.0
    assert limits.least_seconds(200, 50) == 5.0


def test_a_compiled_program_tells_what_it_took():
    x = jnp.arange(6.0).reshape(2, 3)
    program = compiled_program(lambda x: (x @ x.T).sum(), x)
    assert program.call(x) == 3**2 + 5**2 + 7**2  # the sum of both rows, times itself
    assert program.compile_seconds > 0
    assert program.temporary_bytes >= 0


def test_limits_are_measured():
    limits = machine_limits(size=64, entries=2**12, rounds=2)
    assert limits.multiply_adds_per_second > 0
    assert limits.bytes_per_second > 0


def test_functions_are_called_in_turns_after_a_call_to_compile():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = interleaved_seconds(functions, rounds=3)
    assert "".join(calls) == "ab" + "ababab"
    assert set(seconds) == {"a", "b"}
    assert all(0 <= times["least"] <= times["median"] for times in seconds.values())
    with pytest.raises(ValueError, match="`rounds` must be at least 1, got 0"):
        interleaved_seconds(functions, rounds=0)
