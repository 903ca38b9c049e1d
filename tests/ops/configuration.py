"""One random call of an operator with windows, its geometry, and what float64 expects of it."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tests.ops import oracle

NAMES = ("SAME", "VALID", "FULL", "CIRCULAR", "REFLECT")
LEADING = ((), (), (0,), (1,), (1,), (2,), (4,), (5,), (2, 1), (1, 3))
SIZES = {1: 40, 2: 14, 3: 7}
WINDOWS = {1: 6, 2: 4, 3: 3}


@dataclasses.dataclass(frozen=True)
class Configuration:
    """One call of one operator."""

    name: str
    options: dict
    operands: list
    held: tuple[int, ...]
    """Operands that are constants of the program, not differentiated."""
    call: Callable
    """Of the operands."""
    reference: Callable
    """Of the operands and the output's gradient, in float64: the output, each operand's gradient;
    all space on one axis."""
    linear: bool = True
    """In each operand: then the sum of the magnitudes of all terms bounds the rounding."""
    local: bool = True
    """Whether rounding is relative to what each window reads, not to the largest output."""

    def __str__(self):
        shapes = ", ".join(str(operand.shape) for operand in self.operands)
        return f"{self.name}({shapes}, **{self.options}), operands {self.held} held constant"


def pick(random, *values):
    return values[random.integers(len(values))]


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Layer:
    axes: list
    leading: tuple
    options: dict

    @property
    def space(self):
        return tuple(axis.size for axis in self.axes)

    @property
    def window(self):
        return tuple(axis.window for axis in self.axes)

    @property
    def out_space(self):
        return oracle.out_space(self.axes)

    @property
    def strides(self):
        return tuple(axis.stride for axis in self.axes)

    def flat(self, x, positions=None):
        """`[batch, positions, channels]`."""
        count = math.prod(self.space) if positions is None else positions
        return x.reshape(math.prod(self.leading), count, x.shape[-1])


def draw_layer(random, rank=None, dilations=True, input_dilation=True, names=NAMES, pairs=True):
    """A geometry that fits, or None."""
    rank = rank or int(pick(random, 1, 2, 2, 3, 3))
    kind = random.random()
    if kind < 0.6 or not pairs:
        padding = pick(random, *names)
        each = [padding] * rank
    elif kind < 0.75:
        padding = int(random.integers(4))
        each = [(padding, padding)] * rank
    else:
        each = [tuple(map(int, random.integers(0, 5, 2))) for _ in range(rank)]
        padding = tuple(each)
    most = 3 if dilations and random.random() < 0.5 else 1
    inner = 3 if input_dilation and random.random() < 0.4 else 1
    axes = [
        oracle.Axis(
            size=int(random.integers(1, SIZES[rank] + 1)),
            window=int(random.integers(1, WINDOWS[rank] + 1)),
            stride=int(pick(random, 1, 1, 2, 3)),
            padding=one,
            kernel_dilation=int(random.integers(1, most + 1)),
            input_dilation=int(random.integers(1, inner + 1)),
        )
        for one in each
    ]
    for axis in axes:
        span, length = oracle.effective_window(axis), oracle.interleaved_size(axis)
        fits = {"VALID": length >= span, "REFLECT": length > span // 2}
        around = sum(axis.padding) if isinstance(axis.padding, tuple) else 0
        if not fits.get(axis.padding, isinstance(axis.padding, str) or length + around >= span):
            return None
    options = {"strides": tuple(axis.stride for axis in axes), "padding": padding}
    if dilations:
        options["kernel_dilation"] = tuple(axis.kernel_dilation for axis in axes)
    if input_dilation:
        options["input_dilation"] = tuple(axis.input_dilation for axis in axes)
    layer = Layer(axes, pick(random, *LEADING), options)
    return layer if math.prod(layer.out_space) <= 4000 else None


def draw_channels(random, groups=True):
    count = int(pick(random, 1, 1, 2, 3, 4)) if groups else 1
    inside, out = int(pick(random, 1, 2, 3, 4, 16)), int(pick(random, 1, 2, 4, 5))
    return count, inside, count * out


def draw_held(random, operands):
    """Nothing three times of four, else all but the first."""
    return tuple(range(1, operands)) if random.random() < 0.25 else ()
