"""Compute a range of random configurations in this process, and say each number before it begins.

One line for each: its number as it begins, and, where a result is wrong, what is wrong. A reader of
these lines knows which configuration a process died of.
"""

import sys

from cnnjax.run import process

if __name__ == "__main__" and "--as-launched" in sys.argv:
    process.configure()

import jax
import jax.numpy as jnp
import numpy as np

from tests.ops import configurations

EPSILON = float(jnp.finfo(jnp.float32).eps)


def compiled(configuration):
    """One program: the output, and the gradients by all operands that are not held."""
    free = [
        place for place in range(len(configuration.operands)) if place not in configuration.held
    ]

    def program(given, g):
        def output(*given):
            operands = list(configuration.operands)
            for place, operand in zip(free, given, strict=True):
                operands[place] = operand
            return configuration.call(*map(jnp.asarray, operands))

        z, pull = jax.vjp(output, *given)
        return [z, *pull(g)]

    return free, jax.jit(program)


def mistakes(configuration, seed):
    """What differs from float64 by more than rounding, in words."""
    free, program = compiled(configuration)
    given = [configuration.operands[place] for place in free]
    shape = jax.eval_shape(configuration.call, *configuration.operands).shape
    g = np.random.default_rng([seed, 1]).normal(size=shape).astype(np.float32)
    found = [np.asarray(array, np.float64) for array in program(given, g)]
    exact = [np.asarray(array, np.float64) for array in (*configuration.operands, g)]
    expected = configuration.reference(*exact)
    sizes = configuration.reference(*map(np.abs, exact)) if configuration.linear else expected
    complaints = []
    for place, one in zip([-1, *free], found, strict=True):
        right, size = expected[place + 1].ravel(), np.abs(sizes[place + 1]).ravel()
        what = "the output" if place < 0 else f"the gradient by operand {place}"
        if right.size != one.size:
            complaints.append(f"{what} has shape {one.shape}, of {right.size} entries expected")
            continue
        if not (configuration.linear and configuration.local):
            size = np.full(size.shape, size.max(initial=0) + 1)
        wrong = ~(np.abs(one.ravel() - right) <= 40 * EPSILON * size)
        if wrong.any():
            worst = np.nanmax(np.abs(one.ravel() - right)[wrong], initial=0)
            complaints.append(
                f"{what} is wrong in {wrong.sum()} of {wrong.size} entries, by up to {worst:.3g}"
            )
    return "; ".join(complaints)


def main(first, last):
    for number in range(first, last):
        print(number, flush=True)
        configuration = configurations.draw(number)
        try:
            complaint = mistakes(configuration, number)
        except Exception as error:
            complaint = f"{type(error).__name__}: {error}"
        if complaint:
            print(f"{number} {configuration}: {complaint}", flush=True)
        if number % 50 == 49:
            jax.clear_caches()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
