"""Random configurations of the operators that convolve, and their float64 sums."""

import dataclasses
import math
from functools import partial

import numpy as np

from cnnjax import ops
from cnnjax.ops.group_convolution import inverse, product
from tests.ops import gathered, oracle
from tests.ops.configuration import (
    Configuration,
    draw_channels,
    draw_held,
    draw_layer,
    normal,
    pick,
)


def banked(random):
    layer, (groups, inside, out) = draw_layer(random), draw_channels(random)
    if layer is None:
        return None
    name = pick(random, "conv", "tiled_conv", "local_conv")
    positions = layer.out_space
    if name == "tiled_conv":
        bank_axes = tuple(int(random.integers(1, min(size + 1, 4) + 1)) for size in positions)
    else:
        bank_axes = {"conv": (), "local_conv": positions}[name]
    shape = (*bank_axes, *layer.window, inside, out)
    if math.prod(bank_axes) * groups > 12 and name == "tiled_conv":
        return None  # as many convolutions: minutes of compiling
    if (
        math.prod(shape) > 1e6
        or math.prod(positions) * math.prod(layer.window) * inside * out > 4e6
    ):
        return None
    where = np.indices(positions).reshape(len(positions), -1)
    rule = np.zeros(math.prod(positions), int)
    for size, at in zip(bank_axes, where):
        rule = rule * size + at % size
    options = {**layer.options, "feature_group_count": groups}
    if name == "conv" and random.random() < 0.2:
        options["flip_kernel"] = True
    index = gathered.table(layer.axes)

    def reference(x, kernel, g):
        bank = np.flip(kernel, range(len(positions))) if "flip_kernel" in options else kernel
        bank = gathered.apart(bank.reshape(-1, index.shape[1], inside, out), groups)
        x, g = layer.flat(x), layer.flat(g, len(index))
        dx = gathered.input_gradient(g, bank, index, rule, x.shape[1])
        dk = gathered.together(gathered.bank_gradient(g, x, index, rule, len(bank)), groups)
        dk = dk.reshape(kernel.shape)
        if "flip_kernel" in options:
            dk = np.flip(dk, range(len(positions)))
        return gathered.convolve(x, bank, index, rule), dx, dk

    x = normal(random, *layer.leading, *layer.space, inside * groups)
    operands = [x, normal(random, *shape)]
    call = partial(getattr(ops, name), **options)
    return Configuration(name, options, operands, draw_held(random, 2), call, reference)


def low_rank(random):
    layer, (groups, inside, out) = draw_layer(random), draw_channels(random)
    if layer is None:
        return None
    rank, positions = int(random.integers(1, 4)), math.prod(layer.out_space)
    if positions * math.prod(layer.window) * inside * out > 2e6 / rank:
        return None
    index, rule = gathered.table(layer.axes), np.arange(positions)

    def reference(x, kernels, weights, g):
        x, g, mix = layer.flat(x), layer.flat(g, positions), weights.reshape(positions, rank)
        each = gathered.apart(kernels.reshape(rank, index.shape[1], inside, out), groups)
        bank = np.tensordot(mix, each, 1)
        dbank = gathered.bank_gradient(g, x, index, rule, positions)
        dk = gathered.together(np.tensordot(mix.T, dbank, 1), groups)
        dw = dbank.reshape(positions, -1) @ each.reshape(rank, -1).T
        dx = gathered.input_gradient(g, bank, index, rule, x.shape[1])
        return gathered.convolve(x, bank, index, rule), dx, dk, dw

    options = {**layer.options, "feature_group_count": groups}
    operands = [
        normal(random, *layer.leading, *layer.space, inside * groups),
        normal(random, rank, *layer.window, inside, out),
        normal(random, *layer.out_space, rank),
    ]
    held = pick(random, (), (), (2,), (1, 2))
    call = partial(ops.low_rank_local_conv, **options)
    return Configuration("low_rank_local_conv", options, operands, held, call, reference)


def fourier(random):
    layer = draw_layer(random, input_dilation=False)
    if layer is None:
        return None
    _, inside, out = draw_channels(random, groups=False)
    index = gathered.table(layer.axes)
    rule = np.zeros(len(index), int)

    def reference(x, kernel, g):
        x, g, bank = layer.flat(x), layer.flat(g, len(index)), kernel.reshape(1, -1, inside, out)
        dx = gathered.input_gradient(g, bank, index, rule, x.shape[1])
        return (
            gathered.convolve(x, bank, index, rule),
            dx,
            gathered.bank_gradient(g, x, index, rule, 1),
        )

    operands = [
        normal(random, *layer.leading, *layer.space, inside),
        normal(random, *layer.window, inside, out),
    ]
    call = partial(ops.fft_conv, **layer.options)
    return Configuration(
        "fft_conv", layer.options, operands, draw_held(random, 2), call, reference, local=False
    )


def transposed(random):
    """What a convolution with the same arguments reads, sent back."""
    layer = draw_layer(
        random, input_dilation=False, names=("SAME", "VALID", "CIRCULAR"), pairs=False
    )
    if layer is None:
        return None
    _, inside, out = draw_channels(random, groups=False)
    padding, axes = layer.options["padding"], len(layer.axes)
    grown = []
    for axis in layer.axes:
        beyond = max(oracle.effective_window(axis) - axis.stride, 0) if padding == "VALID" else 0
        grown.append(dataclasses.replace(axis, size=axis.size * axis.stride + beyond))
    if math.prod(axis.size for axis in grown) > 4000:
        return None
    index = gathered.table(grown)
    rule, wide = np.zeros(len(index), int), math.prod(axis.size for axis in grown)
    flip = padding != "CIRCULAR" and random.random() < 0.5

    def reference(x, kernel, g):
        x, g = layer.flat(x), layer.flat(g, wide)
        bank = np.flip(kernel, range(axes)).swapaxes(-1, -2) if flip else kernel
        bank = bank.reshape(1, index.shape[1], out, inside)
        dk = gathered.bank_gradient(x, g, index, rule, 1).reshape(*layer.window, out, inside)
        dk = np.flip(dk.swapaxes(-1, -2), range(axes)) if flip else dk
        return (
            gathered.input_gradient(x, bank, index, rule, wide),
            gathered.convolve(g, bank, index, rule),
            dk,
        )

    options = {**layer.options, "transpose_kernel": not flip}
    channels = (inside, out) if flip else (out, inside)
    operands = [
        normal(random, *layer.leading, *layer.space, inside),
        normal(random, *layer.window, *channels),
    ]
    call = partial(ops.conv_transpose, **options)
    return Configuration("conv_transpose", options, operands, draw_held(random, 2), call, reference)


def gradient(random):
    """The operators that are gradients, and their own gradients."""
    layer = draw_layer(random, input_dilation=False, names=("SAME", "VALID", "FULL"))
    if layer is None or math.prod(layer.window) > 12:
        return None
    _, inside, out = draw_channels(random, groups=False)
    index = gathered.table(layer.axes)
    rule, positions = np.zeros(len(index), int), math.prod(layer.space)
    x = normal(random, *layer.leading, *layer.space, inside)
    g = normal(random, *layer.leading, *layer.out_space, out)
    kernel = normal(random, *layer.window, inside, out)
    if random.random() < 0.5:

        def reference(x, g, h):
            x, g, bank = layer.flat(x), layer.flat(g, len(index)), h.reshape(1, -1, inside, out)
            return (
                gathered.bank_gradient(g, x, index, rule, 1),
                gathered.input_gradient(g, bank, index, rule, positions),
                gathered.convolve(x, bank, index, rule),
            )

        call = partial(ops.conv_kernel_gradient, kernel_size=layer.window, **layer.options)
        return Configuration(
            "conv_kernel_gradient", layer.options, [x, g], draw_held(random, 2), call, reference
        )

    def reference(g, kernel, h):
        g, h, bank = layer.flat(g, len(index)), layer.flat(h), kernel.reshape(1, -1, inside, out)
        return (
            gathered.input_gradient(g, bank, index, rule, positions),
            gathered.convolve(h, bank, index, rule),
            gathered.bank_gradient(g, h, index, rule, 1),
        )

    call = partial(ops.conv_input_gradient, space=layer.space, **layer.options)
    options = {"space": layer.space, **layer.options}
    return Configuration(
        "conv_input_gradient", options, [g, kernel], draw_held(random, 2), call, reference
    )


def over_group(random):
    """One kernel turned about: each entry of the wide kernel is an entry of the small one."""
    layer = draw_layer(random, rank=2, input_dilation=False)
    if layer is None:
        return None
    first = layer.axes[0]
    same = {
        "window": first.window,
        "stride": first.stride,
        "kernel_dilation": first.kernel_dilation,
    }
    axes = [dataclasses.replace(axis, **same) for axis in layer.axes]
    for axis in axes:
        span = oracle.effective_window(axis)
        if not oracle.reads(axis) or (axis.padding == "REFLECT" and axis.size <= span // 2):
            return None
    options = {
        **layer.options, "strides": first.stride, "kernel_dilation": first.kernel_dilation
    }  # fmt: skip
    layer = dataclasses.replace(layer, axes=axes, options=options)
    elements, taps = int(pick(random, 4, 8)), first.window
    inside, out = int(random.integers(1, 4)), int(random.integers(1, 4))
    lifted = random.random() < 0.5
    shape = (taps, taps, inside, out) if lifted else (taps, taps, elements, inside, out)
    where, copies = np.arange(math.prod(shape)).reshape(shape), []
    for element in range(elements):
        turned = np.rot90(np.flip(where, 1) if element >= 4 else where, element % 4)
        if not lifted:
            back = inverse(element)
            turned = turned[:, :, [product(back, other) for other in range(elements)]]
        copies.append(turned.reshape(taps * taps, -1, out))
    where = np.concatenate(copies, axis=-1)
    index = gathered.table(axes)
    rule = np.zeros(len(index), int)

    def reference(x, kernel, g):
        x = x.reshape(math.prod(layer.leading), math.prod(layer.space), where.shape[1])
        g = g.reshape(math.prod(layer.leading), len(index), where.shape[2])
        bank = kernel.reshape(-1)[where][None]
        dk = np.zeros(kernel.size)
        np.add.at(dk, where, gathered.bank_gradient(g, x, index, rule, 1)[0])
        dx = gathered.input_gradient(g, bank, index, rule, x.shape[1])
        return gathered.convolve(x, bank, index, rule), dx, dk

    read = (inside,) if lifted else (elements, inside)
    operands = [normal(random, *layer.leading, *layer.space, *read), normal(random, *shape)]
    name = "lifting_conv" if lifted else "group_conv"
    if lifted:
        options = {**options, "group": elements}
    call = partial(getattr(ops, name), **options)
    return Configuration(name, options, operands, draw_held(random, 2), call, reference)
