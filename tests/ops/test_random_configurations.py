"""3,000 random configurations of the operators in optimised programs, against float64.

XLA has computed some of them wrong, and died of others. So they are computed in other processes,
optimised as users have them, every second range with the process settings of a launch.
"""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.ops.configurations import draw
from tests.ops.try_configurations import mistakes

ROOT = Path(__file__).parents[2]
RANGE = 250
TRY = (sys.executable, "-m", "tests.ops.try_configurations")


def environment():
    """Without what makes tests fast: other programs would be tried than users run."""
    flags = os.environ.get("XLA_FLAGS", "").split()
    ours = re.compile(
        "--xla_(backend_optimization|llvm_disable|force_host_platform|cpu_experimental_ynn)"
    )
    kept = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    return {**kept, "XLA_FLAGS": " ".join(flag for flag in flags if not ours.match(flag))}


def complaints(first, last, *settings, command=TRY):
    """One line for each configuration that is wrong, or that its process died of."""
    found = []
    while first < last:
        done = subprocess.run(
            [*command, str(first), str(last), *settings],
            env=environment(), cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        found += [line for line in lines if not line.isdecimal()]
        begun = [int(line) for line in lines if line.isdecimal()]
        if done.returncode or not begun:
            of = f"{begun[-1]} {draw(begun[-1])}" if begun else "before any"
            found.append(f"{of}: died, exit code {done.returncode}, {done.stderr[-500:]}")
        first = begun[-1] + 1 if begun else last
    return found


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 3000, RANGE))
def test_random_configurations(first):
    settings = ["--as-launched"] if first // RANGE % 2 else []
    found = complaints(first, first + RANGE, *settings)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("number", range(3000, 3020))
def test_a_few_random_configurations_here(number):
    configuration = draw(number)
    assert not mistakes(configuration, number), configuration


def test_a_death_and_a_wrong_number_are_noticed():
    """A process that says of 1 that it is wrong, and dies of 3."""
    program = """
        import os, signal, sys
        for number in range(int(sys.argv[1]), int(sys.argv[2])):
            print(number, flush=True)
            if number == 1:
                print("1: wrong", flush=True)
            if number == 3:
                os.kill(os.getpid(), signal.SIGSEGV)
    """
    command = [sys.executable, "-c", "if True:" + program]
    wrong, death = complaints(0, 6, command=command)
    assert wrong == "1: wrong"
    assert death.startswith(f"3 {draw(3)}: died, exit code -11")
    assert complaints(4, 6, command=command) == []


def first(name):
    """The first configuration of an operator whose output, and its gradient, are not all zero."""
    for number in range(500):
        found = draw(number)
        if found.name == name and found.operands[0].size:
            z = found.call(*found.operands)
            results = found.reference(*map(np.float64, found.operands), np.ones(z.shape))
            if np.any(results[0]) and np.any(results[1]):
                return number, found
    raise AssertionError(f"none of 500 configurations is of {name}")


@pytest.mark.parametrize("name", ["conv", "low_rank_local_conv", "max_pool", "fft_conv"])
def test_an_error_of_a_thousandth_is_noticed(name):
    number, right = first(name)
    assert not mistakes(right, number)
    wrong = dataclasses.replace(right, call=lambda *operands: right.call(*operands) * 1.001)
    assert "the output is wrong" in mistakes(wrong, number)
    assert "the gradient by operand 0 is wrong" in mistakes(wrong, number)


def test_an_error_of_a_gradient_alone_is_noticed():
    number, right = first("conv")

    def call(x, kernel):
        z = right.call(x, kernel)
        return z + 1e-3 * (z - jax.lax.stop_gradient(z))

    said = mistakes(dataclasses.replace(right, call=call), number)
    assert "output" not in said
    assert "the gradient by operand 0 is wrong" in said
