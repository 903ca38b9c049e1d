"""Random configurations of all operators with windows, each with its output and gradients in
float64."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from cnnjax import ops
from cnnjax.ops.group_conv import inverse, product
from tests.ops import gathered, oracle

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


def draw(number):
    """The configuration of this number, the same on every machine."""
    random = np.random.default_rng(number)
    while True:
        maker = MAKERS[random.integers(len(MAKERS))]
        made = maker(random)
        if made is not None:
            return made


def _pick(random, *values):
    return values[random.integers(len(values))]


def _normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class _Layer:
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


def _layer(random, rank=None, dilations=True, input_dilation=True, names=NAMES, pairs=True):
    """A geometry that fits, or None."""
    rank = rank or int(_pick(random, 1, 2, 2, 3, 3))
    kind = random.random()
    if kind < 0.6 or not pairs:
        padding = _pick(random, *names)
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
            stride=int(_pick(random, 1, 1, 2, 3)),
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
    layer = _Layer(axes, _pick(random, *LEADING), options)
    return layer if math.prod(layer.out_space) <= 4000 else None


def _channels(random, groups=True):
    count = int(_pick(random, 1, 1, 2, 3, 4)) if groups else 1
    inside, out = int(_pick(random, 1, 2, 3, 4, 16)), int(_pick(random, 1, 2, 4, 5))
    return count, inside, count * out


def _held(random, operands):
    """Nothing three times of four, else all but the first."""
    return tuple(range(1, operands)) if random.random() < 0.25 else ()


def _banked(random):
    layer, (groups, inside, out) = _layer(random), _channels(random)
    if layer is None:
        return None
    name = _pick(random, "conv", "tiled_conv", "local_conv")
    positions = layer.out_space
    if name == "tiled_conv":
        bank_axes = tuple(int(random.integers(1, min(size + 1, 4) + 1)) for size in positions)
    else:
        bank_axes = {"conv": (), "local_conv": positions}[name]
    shape = (*bank_axes, *layer.window, inside, out)
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

    x = _normal(random, *layer.leading, *layer.space, inside * groups)
    operands = [x, _normal(random, *shape)]
    call = partial(getattr(ops, name), **options)
    return Configuration(name, options, operands, _held(random, 2), call, reference)


def _low_rank(random):
    layer, (groups, inside, out) = _layer(random), _channels(random)
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
        _normal(random, *layer.leading, *layer.space, inside * groups),
        _normal(random, rank, *layer.window, inside, out),
        _normal(random, *layer.out_space, rank),
    ]
    held = _pick(random, (), (), (2,), (1, 2))
    call = partial(ops.low_rank_local_conv, **options)
    return Configuration("low_rank_local_conv", options, operands, held, call, reference)


def _fourier(random):
    layer = _layer(random, input_dilation=False)
    if layer is None:
        return None
    _, inside, out = _channels(random, groups=False)
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
        _normal(random, *layer.leading, *layer.space, inside),
        _normal(random, *layer.window, inside, out),
    ]
    call = partial(ops.fft_conv, **layer.options)
    return Configuration(
        "fft_conv", layer.options, operands, _held(random, 2), call, reference, local=False
    )


def _transposed(random):
    """What a convolution with the same arguments reads, sent back."""
    layer = _layer(random, input_dilation=False, names=("SAME", "VALID", "CIRCULAR"), pairs=False)
    if layer is None:
        return None
    _, inside, out = _channels(random, groups=False)
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
        _normal(random, *layer.leading, *layer.space, inside),
        _normal(random, *layer.window, *channels),
    ]
    call = partial(ops.conv_transpose, **options)
    return Configuration("conv_transpose", options, operands, _held(random, 2), call, reference)


def _gradient(random):
    """The operators that are gradients, and their own gradients."""
    layer = _layer(random, input_dilation=False, names=("SAME", "VALID", "FULL"))
    if layer is None:
        return None
    _, inside, out = _channels(random, groups=False)
    index = gathered.table(layer.axes)
    rule, positions = np.zeros(len(index), int), math.prod(layer.space)
    x = _normal(random, *layer.leading, *layer.space, inside)
    g = _normal(random, *layer.leading, *layer.out_space, out)
    kernel = _normal(random, *layer.window, inside, out)
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
            "conv_kernel_gradient", layer.options, [x, g], _held(random, 2), call, reference
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
        "conv_input_gradient", options, [g, kernel], _held(random, 2), call, reference
    )


def _channelwise(random):
    """The same product of vectors for each channel: `separable_conv` and `blur_pool`."""
    layer = _layer(random, dilations=False, input_dilation=False)
    if layer is None:
        return None
    channels = int(_pick(random, 1, 2, 3, 8))
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

    operands = [_normal(random, *layer.leading, *layer.space, channels)]
    if blur:
        options = {"filter_size": taps, **layer.options}
        call = partial(ops.blur_pool, **options)
        return Configuration("blur_pool", options, operands, (), call, reference)
    operands += [_normal(random, axis.window) for axis in layer.axes]
    call = lambda x, *factors: ops.separable_conv(x, factors, **layer.options)
    held = _held(random, len(operands))
    return Configuration("separable_conv", layer.options, operands, held, call, reference)


def _over_group(random):
    """One kernel turned about: each entry of the wide kernel is an entry of the small one."""
    layer = _layer(random, rank=2, input_dilation=False)
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
    elements, taps = int(_pick(random, 4, 8)), first.window
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
    operands = [_normal(random, *layer.leading, *layer.space, *read), _normal(random, *shape)]
    name = "lifting_conv" if lifted else "group_conv"
    if lifted:
        options = {**options, "group": elements}
    call = partial(getattr(ops, name), **options)
    return Configuration(name, options, operands, _held(random, 2), call, reference)


def _pool(random):
    layer = _layer(random, dilations=False, input_dilation=False)
    if layer is None:
        return None
    index = gathered.table(layer.axes)
    if (index < 0).all(1).any():  # a window that reads nothing has no maximum; it is refused
        return None
    for axis in layer.axes:
        around = axis.padding if isinstance(axis.padding, tuple) else (0, 0)
        if axis.padding == "FULL" or max(around) >= axis.window:
            return None
    name = _pick(random, "max_pool", "average_pool", "stochastic_pool", "max_blur_pool")
    options = dict(layer.options)
    if name == "average_pool":
        options["count_include_pad"] = bool(random.random() < 0.5)
    x = _normal(random, *layer.leading, *layer.space, int(_pick(random, 1, 3, 8)))
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


def _polyphase(random):
    rank = int(random.integers(1, 4))
    strides = tuple(int(step) for step in random.integers(1, 4, rank))
    sizes = random.integers(1, {1: 12, 2: 6, 3: 4}[rank], rank)
    space = tuple(int(size) * step for size, step in zip(sizes, strides, strict=True))
    leading, channels = _pick(random, *LEADING), int(_pick(random, 1, 2, 8))
    where = gathered.components(space, strides)
    x = _normal(random, *leading, *space, channels)
    batch = math.prod(leading)
    options = {"strides": strides}
    if random.random() < 0.5:

        def reference(x, weights, g):
            x, g = (
                x.reshape(batch, where.size, channels),
                g.reshape(batch, where.shape[1], channels),
            )
            weights, parts = weights.reshape(batch, len(where)), x[:, where]
            dx = np.zeros(x.shape)
            dx[:, where] = weights[..., None, None] * g[:, None]
            z = (weights[..., None, None] * parts).sum(1)
            return z, dx, (parts * g[:, None]).sum((2, 3))

        operands = [x, _normal(random, *leading, len(where))]
        call = partial(ops.mixed_polyphase, **options)
        held = _held(random, 2)
        return Configuration("mixed_polyphase", options, operands, held, call, reference)

    def reference(x, g):
        x, g = x.reshape(batch, where.size, channels), g.reshape(batch, where.shape[1], channels)
        z, dx = np.zeros(g.shape), np.zeros(x.shape)
        for image in range(batch):
            sizes = (x[image][where] ** 2).sum((1, 2))
            chosen = where[sizes.argmax()]
            z[image], dx[image, chosen] = x[image, chosen], g[image]
        return z, dx

    call = lambda x: ops.adaptive_polyphase(x, **options)[0]
    return Configuration("adaptive_polyphase", options, [x], (), call, reference, linear=False)


def _resampled(random):
    rank = int(random.integers(1, 4))
    most = SIZES[rank]
    space = tuple(int(size) for size in random.integers(1, most, rank))
    out = tuple(int(size) for size in random.integers(1, most, rank))
    leading, channels = _pick(random, *LEADING), int(_pick(random, 1, 3))

    def along(x, matrices, sizes):
        x = x.reshape(math.prod(leading), *sizes, channels)
        for axis, matrix in enumerate(matrices, start=1):
            x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
        return x

    def reference(x, g):
        matrices = [gathered.resampling(*pair) for pair in zip(space, out, strict=True)]
        return along(x, matrices, space), along(g, [matrix.T for matrix in matrices], out)

    options = {"out_space": out}
    operands = [_normal(random, *leading, *space, channels)]
    call = partial(ops.ideal_resample, **options)
    return Configuration("ideal_resample", options, operands, (), call, reference, linear=False)


MAKERS = (
    *[_banked] * 6, *[_low_rank] * 3, _fourier, _transposed, _transposed, _gradient, _channelwise,
    _over_group, _pool, _pool, _polyphase, _resampled,
)  # fmt: skip
"""By how often each is drawn, of those that fit."""
