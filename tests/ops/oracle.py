"""The operators and their gradients as explicit NumPy float64 loops over the formulas.

With output position p, window offset a, stride s, dilation d and the sharing rule,

    z[p, o] = sum over a, c of x[p*s + a*d - low, c] * bank[rule(p), a, c, o]

and with G = dJ/dZ the two gradient sums of a strided convolution (Goodfellow, Bengio, Courville,
Deep Learning, 2016, ch. 9, there called g and h), here with a bank in place of the one kernel:

    g: dK[k, a, c, o] = sum over p with rule(p) = k of G[p, o] * x[p*s + a*d - low, c]
    h: dV[q, c]       = sum over o, and p, a with p*s + a*d - low = q,
                        of bank[rule(p), a, c, o] * G[p, o]

Which input element a window reads is decided on each axis by `reads`, by walking along the padded
line: no formula for an output size is used.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Index = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """One space axis of one layer."""

    size: int
    window: int
    stride: int = 1
    padding: str | tuple[int, int] = "VALID"  # a name, or zeros (low, high)
    kernel_dilation: int = 1
    input_dilation: int = 1


def interleaved_size(axis: Axis) -> int:
    """Length with `input_dilation - 1` zeros between (not after) the elements."""
    return (axis.size - 1) * axis.input_dilation + 1


def effective_window(axis: Axis) -> int:
    return (axis.window - 1) * axis.kernel_dilation + 1


def reads(axis: Axis) -> list[list[int | None]]:
    """reads(axis)[p][a]: the input index that offset a of window p reads, None for a zero."""
    length, window = interleaved_size(axis), effective_window(axis)
    if axis.padding in ("CIRCULAR", "REFLECT"):
        period = axis.size * axis.input_dilation if axis.padding == "CIRCULAR" else length
        first = -((window - 1) // 2)
        starts = list(range(first, first + period, axis.stride))
        rule = _wrapped if axis.padding == "CIRCULAR" else _reflected
    else:
        low, high = _zeros(axis)
        starts = list(range(-low, length + high - window + 1, axis.stride))
        rule = _zero_outside
    return [
        [rule(start + offset * axis.kernel_dilation, axis) for offset in range(axis.window)]
        for start in starts
    ]


def _zeros(axis: Axis) -> tuple[int, int]:
    length, window = interleaved_size(axis), effective_window(axis)
    if axis.padding == "VALID":
        return 0, 0
    if axis.padding == "FULL":
        return window - 1, window - 1
    if axis.padding == "SAME":
        windows = len(range(0, length, axis.stride))
        total = max((windows - 1) * axis.stride + window - length, 0)
        return total // 2, total - total // 2
    return axis.padding


def _element(position: int, axis: Axis) -> int | None:
    index, between = divmod(position, axis.input_dilation)
    return None if between else index


def _zero_outside(position: int, axis: Axis) -> int | None:
    inside = 0 <= position < interleaved_size(axis)
    return _element(position, axis) if inside else None


def _wrapped(position: int, axis: Axis) -> int | None:
    return _element(position % (axis.size * axis.input_dilation), axis)


def _reflected(position: int, axis: Axis) -> int | None:
    last = interleaved_size(axis) - 1
    position = abs(position)
    return _element(last - abs(last - position), axis)


def out_space(axes: list[Axis]) -> Index:
    return tuple(len(reads(axis)) for axis in axes)


def terms(axes: list[Axis]) -> Iterator[tuple[Index, Index, Index]]:
    """Every (p, a, q): output position p reads the input element q through window offset a."""
    table = [reads(axis) for axis in axes]
    for p in itertools.product(*[range(len(rows)) for rows in table]):
        for a in itertools.product(*[range(axis.window) for axis in axes]):
            q = tuple(rows[i][j] for rows, i, j in zip(table, p, a, strict=True))
            if None not in q:
                yield p, a, q


def channels(in_per_group: int, features: int, groups: int) -> Iterator[tuple[int, int, int]]:
    """Every (c, i, o): output channel o reads input channel i, the c-th of its group."""
    for o in range(features):
        group = o // (features // groups)
        for c in range(in_per_group):
            yield c, group * in_per_group + c, o


def shared(p: Index) -> Index:
    return ()


def tiled(tile: Index) -> Callable[[Index], Index]:
    return lambda p: tuple(i % t for i, t in zip(p, tile, strict=True))


def local(p: Index) -> Index:
    return p


def convolve(x, bank, axes, groups=1, rule=shared):
    """x [batch, *space, in], bank [*bank axes, *window, in/groups, out] -> [batch, *out, out]."""
    z = np.zeros((x.shape[0], *out_space(axes), bank.shape[-1]))
    for p, a, q in terms(axes):
        for c, i, o in channels(*bank.shape[-2:], groups):
            z[:, *p, o] += x[:, *q, i] * bank[*rule(p), *a, c, o]
    return z


def bank_gradient(cotangent, x, bank_shape, axes, groups=1, rule=shared):
    """The sum g: dK [*bank axes, *window, in/groups, out] from G [batch, *out, out] and x."""
    gradient = np.zeros(bank_shape)
    for p, a, q in terms(axes):
        for c, i, o in channels(*bank_shape[-2:], groups):
            gradient[*rule(p), *a, c, o] += np.sum(cotangent[:, *p, o] * x[:, *q, i])
    return gradient


def input_gradient(cotangent, bank, x_shape, axes, groups=1, rule=shared):
    """The sum h: dV [batch, *space, in] from G [batch, *out, out] and the bank."""
    gradient = np.zeros(x_shape)
    for p, a, q in terms(axes):
        for c, i, o in channels(*bank.shape[-2:], groups):
            gradient[:, *q, i] += bank[*rule(p), *a, c, o] * cotangent[:, *p, o]
    return gradient


def low_rank(x, kernels, weights, axes, groups=1):
    """z[p, o] = sum over r of weights[p, r] * (x * kernels[r])[p, o]."""
    z = np.zeros((x.shape[0], *out_space(axes), kernels.shape[-1]))
    for p, a, q in terms(axes):
        for c, i, o in channels(*kernels.shape[-2:], groups):
            for r in range(kernels.shape[0]):
                z[:, *p, o] += weights[*p, r] * x[:, *q, i] * kernels[r, *a, c, o]
    return z


def low_rank_gradients(cotangent, x, kernels, weights, axes, groups=1):
    """(d/dx, d/dkernels, d/dweights) of sum(cotangent * low_rank(x, kernels, weights))."""
    dx, dkernels, dweights = np.zeros(x.shape), np.zeros(kernels.shape), np.zeros(weights.shape)
    for p, a, q in terms(axes):
        for c, i, o in channels(*kernels.shape[-2:], groups):
            product = np.sum(cotangent[:, *p, o] * x[:, *q, i])
            for r in range(kernels.shape[0]):
                dx[:, *q, i] += weights[*p, r] * kernels[r, *a, c, o] * cotangent[:, *p, o]
                dkernels[r, *a, c, o] += weights[*p, r] * product
                dweights[*p, r] += kernels[r, *a, c, o] * product
    return dx, dkernels, dweights
