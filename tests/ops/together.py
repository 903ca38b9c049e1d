"""Several computations as one compiled program: compiling is what tests of operators wait for."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def together(calls: Sequence[tuple[Callable[..., Any], Sequence[Any]]]) -> list[Any]:
    """Outputs of functions of float32 arrays, as NumPy arrays."""
    functions = [function for function, _ in calls]
    operands = [[np.asarray(each, np.float32) for each in given] for _, given in calls]

    def run(operands):
        return [function(*given) for function, given in zip(functions, operands, strict=True)]

    return jax.device_get(jax.jit(run)(operands))
