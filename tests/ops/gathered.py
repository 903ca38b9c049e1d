"""Convolutions and pools with their gradients in NumPy, float64: what each window reads, gathered.

The sums of the explicit loops, many terms at a time: for sizes at which the loops take too long.
Arrays are `[batch, positions, channels]`, all space on one axis; a bank is `[kernels, taps, in,
out]`. Which position a tap reads comes from `oracle.reads`, walked along the padded line.
"""

import functools
import itertools

import numpy as np

from tests.ops import oracle


def table(axes):
    """The input position that each tap of each window reads: `[out positions, taps]`, -1: none."""
    tables = [np.array([[-1 if q is None else q for q in row] for row in oracle.reads(axis)])
              for axis in axes]  # fmt: skip
    index = np.zeros((1, 1), int)
    for axis, one in zip(axes, tables, strict=True):
        both = index[:, None, :, None] * axis.size + one[None, :, None, :]
        both = np.where((index[:, None, :, None] < 0) | (one[None, :, None, :] < 0), -1, both)
        index = both.reshape(len(index) * len(one), -1)
    return index


def gather(x, index, fill=0.0):
    """`[batch, positions, taps, channels]`."""
    edge = np.full((x.shape[0], 1, x.shape[2]), fill)
    return np.concatenate([x, edge], axis=1)[:, index]


def scatter(patches, index, positions):
    """The transpose of `gather`."""
    total = np.zeros((positions + 1, patches.shape[0], patches.shape[-1]))
    sent = np.moveaxis(patches, 0, 2).reshape(index.size, *total.shape[1:])
    np.add.at(total, index.reshape(-1), sent)
    return np.moveaxis(total[:-1], 0, 1)


def _read(x, index):
    """What each position reads, positions first: `[positions, batch, taps * channels]`."""
    return np.moveaxis(gather(x, index), 0, 1).reshape(
        len(index), len(x), index.shape[1] * x.shape[-1]
    )


def convolve(x, bank, index, rule):
    """z[p] = sum over taps and channels of what p reads times the kernel rule[p] of the bank."""
    z = _read(x, index) @ bank[rule].reshape(len(index), -1, bank.shape[-1])
    return np.moveaxis(z, 0, 1)


def input_gradient(g, bank, index, rule, positions):
    """Send each output's gradient back to what it read."""
    kernels = bank[rule].reshape(len(index), -1, bank.shape[-1])
    sent = np.moveaxis(g, 1, 0) @ kernels.swapaxes(1, 2)
    sent = sent.reshape(*sent.shape[:2], index.shape[1], bank.shape[2])
    return scatter(np.moveaxis(sent, 0, 1), index, positions)


def bank_gradient(g, x, index, rule, kernels):
    """For each kernel, what its positions read times their gradients."""
    products = _read(x, index).swapaxes(1, 2) @ np.moveaxis(g, 1, 0)
    total = np.zeros((kernels, *products.shape[1:]))
    np.add.at(total, rule, products)
    return total.reshape(kernels, index.shape[1], x.shape[-1], g.shape[-1])


def apart(kernel, groups):
    """A kernel `[..., in/groups, out]` as `[..., in, out]`, zero between the groups."""
    channels, features = kernel.shape[-2], kernel.shape[-1] // groups
    full = np.zeros((*kernel.shape[:-2], channels * groups, kernel.shape[-1]))
    for group in range(groups):
        columns = slice(group * features, (group + 1) * features)
        full[..., group * channels : (group + 1) * channels, columns] = kernel[..., columns]
    return full


def together(full, groups):
    """The transpose of `apart`."""
    rows, columns = (
        np.split(np.arange(full.shape[-2]), groups),
        np.split(np.arange(full.shape[-1]), groups),
    )
    parts = [full[..., r, :][..., c] for r, c in zip(rows, columns, strict=True)]
    return np.concatenate(parts, axis=-1)


def max_pool(x, g, index):
    """The first largest entry of each window, and the gradient sent to it."""
    patches = gather(x, index, -np.inf)
    first = patches.argmax(2)[:, :, None]
    sent = np.zeros_like(patches)
    np.put_along_axis(sent, first, g[:, :, None], 2)
    z = np.take_along_axis(patches, first, 2)[:, :, 0]
    return z, scatter(sent, index, x.shape[1])


def average_pool(x, g, index, include_pad):
    """Of all taps, or of those that read an entry."""
    count = np.full(len(index), index.shape[1]) if include_pad else (index >= 0).sum(1)
    share = (1 / count)[None, :, None]
    sent = np.repeat((g * share)[:, :, None], index.shape[1], 2)
    return gather(x, index).sum(2) * share, scatter(sent, index, x.shape[1])


def expected_pool(x, g, index):
    """sum of squares over sum, of positive entries."""
    patches = gather(x, index)
    total, squares = patches.sum(2), (patches**2).sum(2)
    slope = (2 * patches * total[:, :, None] - squares[:, :, None]) / total[:, :, None] ** 2
    return squares / total, scatter(slope * g[:, :, None], index, x.shape[1])


def outer(factors):
    """The product of one vector an axis, all taps on one axis."""
    return functools.reduce(np.multiply.outer, factors).reshape(-1)


def outer_gradient(g, factors):
    """For each factor: g `[taps]` summed with the other factors."""
    g = g.reshape([len(factor) for factor in factors])
    gradients = []
    for axis in range(len(factors)):
        one = np.moveaxis(g, axis, 0).reshape(len(factors[axis]), -1)
        gradients.append(one @ outer([*factors[:axis], *factors[axis + 1 :], np.ones(1)]))
    return gradients


def components(space, strides):
    """Where the polyphase components lie: `[prod(strides), positions]`."""
    where = np.arange(np.prod(space)).reshape(space)
    offsets = itertools.product(*map(range, strides))
    return np.stack([
        where[tuple(slice(first, None, step) for first, step in zip(offset, strides, strict=True))]
        .reshape(-1)
        for offset in offsets
    ])  # fmt: skip


def resampling(size, out):
    """The ideal low-pass filter between two grids, as a matrix `[out, size]`."""
    kept = (min(size, out) + 1) // 2
    spectrum = np.fft.rfft(np.eye(size), axis=0)[:kept] * (out / size)
    return np.fft.irfft(spectrum, n=out, axis=0)
