"""Random configurations of the operators that pool, blur and resample, and their float64 sums."""

import dataclasses
import math
from functools import partial

import numpy as np

from cnnjax import ops
from tests.ops import gathered, oracle
from tests.ops.configuration import (
    LEADING,
    SIZES,
    Configuration,
    draw_held,
    draw_layer,
    normal,
    pick,
)


def channelwise(random):
    """The same product of vectors for each channel: `separable_conv` and `blur_pool`."""
    layer = draw_layer(random, dilations=False, input_dilation=False)
    if layer is None:
        return None
    channels = int(pick(random, 1, 2, 3, 8))
    blur = random.random() < 0.5
    if blur:
        taps = int(random.integers(2, 6))
        axes = [dataclasses.replace(axis, window=taps) for axis in layer.axes]
        if any(len(oracle.reads(axis)) == 0 for axis in axes) or any(
            axis.padding == "REFLECT" and axis.size <= taps // 2 for axis in axes
        ):
            return None
        layer = dataclasses.replace(layer, axes=axes)
    index = gathered.table(layer.axes)
    rule = np.zeros(len(index), int)

    def reference(x, *rest):
        *factors, g = rest
        if blur:
            factors = [np.poly1d([0.5, 0.5]) ** (taps - 1)] * len(layer.axes)
            factors = [factor.coeffs for factor in factors]
        one = gathered.outer(factors)
        bank = (one[:, None, None] * np.eye(channels))[None]
        x, g = layer.flat(x), layer.flat(g, len(index))
        dk = np.einsum("tcc->t", gathered.bank_gradient(g, x, index, rule, 1)[0])
        dx = gathered.input_gradient(g, bank, index, rule, x.shape[1])
        given = [] if blur else gathered.outer_gradient(dk, factors)
        return gathered.convolve(x, bank, index, rule), dx, *given

    operands = [normal(random, *layer.leading, *layer.space, channels)]
    if blur:
        options = {"filter_size": taps, **layer.options}
        call = partial(ops.blur_pool, **options)
        return Configuration("blur_pool", options, operands, (), call, reference)
    operands += [normal(random, axis.window) for axis in layer.axes]
    call = lambda x, *factors: ops.separable_conv(x, factors, **layer.options)
    held = draw_held(random, len(operands))
    return Configuration("separable_conv", layer.options, operands, held, call, reference)


def pool(random):
    layer = draw_layer(random, dilations=False, input_dilation=False)
    if layer is None:
        return None
    index = gathered.table(layer.axes)
    if (index < 0).all(1).any():  # a window that reads nothing has no maximum; it is refused
        return None
    for axis in layer.axes:
        around = axis.padding if isinstance(axis.padding, tuple) else (0, 0)
        if axis.padding == "FULL" or max(around) >= axis.window:
            return None
    name = pick(random, "max_pool", "average_pool", "stochastic_pool", "max_blur_pool")
    options = dict(layer.options)
    if name == "average_pool":
        options["count_include_pad"] = bool(random.random() < 0.5)
    x = normal(random, *layer.leading, *layer.space, int(pick(random, 1, 3, 8)))
    if name == "stochastic_pool":
        x = np.abs(x) + np.float32(0.1)
    if name == "max_blur_pool":
        return None if layer.options["padding"] != "CIRCULAR" else _max_blur(random, layer, x)

    def reference(x, g):
        x, g = layer.flat(x), layer.flat(g, len(index))
        if name == "max_pool":
            return gathered.max_pool(x, g, index)
        if name == "average_pool":
            return gathered.average_pool(x, g, index, options["count_include_pad"])
        return gathered.expected_pool(x, g, index)

    call = partial(getattr(ops, name), window_shape=layer.window, **options)
    options = {"window_shape": layer.window, **options}
    return Configuration(name, options, [x], (), call, reference, linear=False)


def _max_blur(random, layer, x):
    taps = int(random.integers(2, 5))
    largest = gathered.table([dataclasses.replace(axis, stride=1) for axis in layer.axes])
    index = gathered.table([dataclasses.replace(axis, window=taps) for axis in layer.axes])
    rule = np.zeros(len(index), int)

    def reference(x, g):
        x, g = layer.flat(x), layer.flat(g, len(index))
        row = (np.poly1d([0.5, 0.5]) ** (taps - 1)).coeffs
        bank = gathered.outer([row] * len(layer.axes))[:, None, None] * np.eye(x.shape[-1])
        between = gathered.input_gradient(g, bank[None], index, rule, x.shape[1])
        highest, dx = gathered.max_pool(x, between, largest)
        return gathered.convolve(highest, bank[None], index, rule), dx

    options = {"window_shape": layer.window, "filter_size": taps, **layer.options}
    call = partial(ops.max_blur_pool, **options)
    return Configuration("max_blur_pool", options, [x], (), call, reference, linear=False)


def polyphase(random):
    rank = int(random.integers(1, 4))
    strides = tuple(int(step) for step in random.integers(1, 4, rank))
    sizes = random.integers(1, {1: 12, 2: 6, 3: 4}[rank], rank)
    space = tuple(int(size) * step for size, step in zip(sizes, strides, strict=True))
    leading, channels = pick(random, *LEADING), int(pick(random, 1, 2, 8))
    where = gathered.components(space, strides)
    x = normal(random, *leading, *space, channels)
    batch = math.prod(leading)
    options = {"strides": strides}
    if random.random() < 0.5:

        def reference(x, weights, g):
            x = x.reshape(batch, where.size, channels)
            g = g.reshape(batch, where.shape[1], channels)
            weights, parts = weights.reshape(batch, len(where)), x[:, where]
            dx = np.zeros(x.shape)
            dx[:, where] = weights[..., None, None] * g[:, None]
            z = (weights[..., None, None] * parts).sum(1)
            return z, dx, (parts * g[:, None]).sum((2, 3))

        operands = [x, normal(random, *leading, len(where))]
        call = partial(ops.mixed_polyphase, **options)
        held = draw_held(random, 2)
        return Configuration("mixed_polyphase", options, operands, held, call, reference)

    def reference(x, g):
        x = x.reshape(batch, where.size, channels)
        g = g.reshape(batch, where.shape[1], channels)
        z, dx = np.zeros(g.shape), np.zeros(x.shape)
        for image in range(batch):
            sizes = (x[image][where] ** 2).sum((1, 2))
            chosen = where[sizes.argmax()]
            z[image], dx[image, chosen] = x[image, chosen], g[image]
        return z, dx

    call = lambda x: ops.adaptive_polyphase(x, **options)[0]
    return Configuration("adaptive_polyphase", options, [x], (), call, reference, linear=False)


def resampled(random):
    rank = int(random.integers(1, 4))
    most = SIZES[rank]
    space = tuple(int(size) for size in random.integers(1, most, rank))
    out = tuple(int(size) for size in random.integers(1, most, rank))
    leading, channels = pick(random, *LEADING), int(pick(random, 1, 3))

    def along(x, matrices, sizes):
        x = x.reshape(math.prod(leading), *sizes, channels)
        for axis, matrix in enumerate(matrices, start=1):
            x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
        return x

    def reference(x, g):
        matrices = [gathered.resampling(*pair) for pair in zip(space, out, strict=True)]
        return along(x, matrices, space), along(g, [matrix.T for matrix in matrices], out)

    options = {"out_space": out}
    operands = [normal(random, *leading, *space, channels)]
    call = partial(ops.ideal_resample, **options)
    return Configuration("ideal_resample", options, operands, (), call, reference, linear=False)
