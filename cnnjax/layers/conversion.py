"""Conversions between members of the family, on the parameter trees of one layer.

`standard -> tiled -> local -> dense`: upwards a layer is embedded in a larger family and computes
the same function; downwards it is projected to the nearest member, in least squares over weights,
of the smaller family: weights that must be equal are replaced by their average. Embedding and then
projecting gives back what one began with.

A tree is a mapping with a 'kernel' and perhaps a 'bias', in the layouts of `cnnjax.layers`. All
functions are pure and work under jit.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.ops import geometry
from cnnjax.ops.window import make_window, padding_per_axis, per_axis

Parameters = Mapping[str, jax.Array]


def standard_to_tiled(parameters: Parameters, tile: int | Sequence[int]) -> Parameters:
    """Embed a standard layer in the tiled ones: every kernel of the tile is the same.

    From kernel `[*window, in/groups, out]` and bias `[out]` to kernel `[*tile, *window, in/groups,
    out]` and bias `[*tile, out]`.
    """
    tile = per_axis("tile", tile, parameters["kernel"].ndim - 2)
    return {name: jnp.broadcast_to(leaf, (*tile, *leaf.shape)) for name, leaf in parameters.items()}


def tied_banks(standard: Mapping[str, Parameters], banked: Mapping[str, Parameters]) -> dict:
    """Embed a network of standard layers in the same one with banks: all kernels of a bank equal.

    Layers without a bank, such as the classifier, are those of the standard network.

    Args:
      standard: by layer, kernel `[*window, in/groups, out]` and perhaps bias `[out]`.
      banked: the same layers as tiled or local ones, kernel `[*bank, *window, in/groups, out]`, of
        which only the shapes count.

    Raises:
      ValueError: a kernel of another shape than the bank's.
    """
    embedded = {}
    for name, layer in standard.items():
        kernel, bank = layer["kernel"].shape, banked[name]["kernel"].shape
        tile = bank[: len(bank) - len(kernel)]
        if (*tile, *kernel) != bank:
            raise ValueError(f"the kernel of {name!r} must be one of a bank {bank}, got {kernel}.")
        embedded[name] = standard_to_tiled(layer, tile) if tile else layer
    return embedded


def tiled_to_standard(parameters: Parameters) -> Parameters:
    """Project a tiled layer to the standard ones: the average over the tile."""
    axes = _bank_axes(parameters)
    return {name: leaf.mean(axis=range(axes)) for name, leaf in parameters.items()}


def tiled_to_local(parameters: Parameters, out_space: Sequence[int]) -> Parameters:
    """Embed a tiled layer in the local ones: position p gets a copy of kernel `p mod tile`.

    From kernel `[*tile, *window, in/groups, out]` and bias `[*tile, out]` to kernel `[*out_space,
    *window, in/groups, out]` and bias `[*out_space, out]`.
    """
    tile = parameters["kernel"].shape[: _bank_axes(parameters)]
    _check_length("out_space", out_space, len(tile))
    turn = np.ix_(*(np.arange(size) % step for size, step in zip(out_space, tile, strict=True)))
    return {name: leaf[turn] for name, leaf in parameters.items()}


def local_to_tiled(parameters: Parameters, tile: int | Sequence[int]) -> Parameters:
    """Project a local layer to the tiled ones: the average over positions that share a kernel.

    Raises:
      ValueError: a tile larger than the output, which leaves kernels without a position.
    """
    axes = _bank_axes(parameters)
    out_space = parameters["kernel"].shape[:axes]
    tile = per_axis("tile", tile, axes)
    if any(step > size for step, size in zip(tile, out_space, strict=True)):
        raise ValueError(f"a tile {tile} has kernels that no position of {out_space} uses.")
    projected = dict(parameters)
    for axis, (size, step) in enumerate(zip(out_space, tile, strict=True)):
        shares = np.arange(step)[:, None] == np.arange(size)[None, :] % step
        average = shares / shares.sum(axis=1, keepdims=True)
        for name, leaf in projected.items():
            product = jnp.tensordot(jnp.asarray(average, leaf.dtype), leaf, axes=(1, axis))
            projected[name] = jnp.moveaxis(product, 0, axis)
    return projected


def local_to_dense(
    parameters: Parameters,
    space: Sequence[int],
    *,
    strides: int | Sequence[int] = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    input_dilation: int | Sequence[int] = 1,
    feature_group_count: int = 1,
) -> Parameters:
    """Embed a local layer in the dense ones: its linear map, written out.

    Taps that read zero padding are lost; taps that read the same input are added. Returns kernel
    `[*space, in, *out_space, out]`, bias `[*out_space, out]`.

    Args:
      parameters: kernel `[*out_space, *window, in/groups, out]`, bias `[*out_space, out]`.
      space: sizes of the input's spatial axes.
      strides, padding, kernel_dilation, input_dilation, feature_group_count: the layer's.
    """
    kernel = parameters["kernel"]
    axes = _bank_axes(parameters)
    reads = _reads(kernel, space, strides, padding, kernel_dilation, input_dilation)
    if feature_group_count > 1:
        kernel = _across_groups(kernel, feature_group_count)
    kernel = _axis_by_axis("paq,pa...->pq...", reads, kernel)
    kernel = jnp.moveaxis(kernel, range(axes, 2 * axes + 1), range(axes + 1))
    return {**parameters, "kernel": kernel}


def dense_to_local(
    parameters: Parameters,
    kernel_size: int | Sequence[int],
    *,
    strides: int | Sequence[int] = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    input_dilation: int | Sequence[int] = 1,
) -> Parameters:
    """Project a dense layer to the local ones: the weights inside each window, the rest dropped.

    A weight that several taps share, because a circular window meets itself, is divided among
    them; taps that read zero padding get zero. The inverse of `local_to_dense` but for such taps.
    Returns kernel `[*out_space, *window, in, out]`, bias `[*out_space, out]`.

    Args:
      parameters: kernel `[*space, in, *out_space, out]`, bias `[*out_space, out]`.
      kernel_size, strides, padding, kernel_dilation, input_dilation: of the local layer.
    """
    kernel = parameters["kernel"]
    axes = kernel.ndim // 2 - 1
    space, out_space = kernel.shape[:axes], kernel.shape[axes + 1 : -1]
    window = per_axis("kernel_size", kernel_size, axes)
    kernel = jnp.moveaxis(kernel, range(axes + 1), range(axes, 2 * axes + 1))
    bank = jax.ShapeDtypeStruct((*out_space, *window, 1, 1), kernel.dtype)
    reads = _reads(bank, space, strides, padding, kernel_dilation, input_dilation)
    counts = [np.maximum(read.sum(axis=1, keepdims=True), 1) for read in reads]
    shares = [(read / count).astype(kernel.dtype) for read, count in zip(reads, counts)]
    return {**parameters, "kernel": _axis_by_axis("paq,pq...->pa...", shares, kernel)}


def _reads(kernel, space, strides, padding, kernel_dilation, input_dilation) -> list[np.ndarray]:
    """For each axis `[positions, taps, size]`: 1 where a position's tap reads an input, else 0."""
    axes = kernel.ndim // 2 - 1
    _check_length("space", space, axes)
    options = strides, padding, kernel_dilation, input_dilation
    window = make_window(space, kernel.shape[axes:-2], *options)
    if window.out_space != kernel.shape[:axes]:
        raise ValueError(
            f"these arguments give an output of {window.out_space} over an input of "
            f"{tuple(space)}, but the layer has kernels for {kernel.shape[:axes]}."
        )
    sides = padding_per_axis(padding, axes)
    dilations = window.kernel_dilation, window.input_dilation
    reads = []
    for axis in zip(window.space, window.kernel_size, window.strides, sides, *dilations):
        index = geometry.input_indices(*axis)
        reads.append((index[..., None] == np.arange(axis[0])).astype(kernel.dtype))
    return reads


def _axis_by_axis(products: str, matrices: list[np.ndarray], kernel: jax.Array) -> jax.Array:
    """Products of `[*positions, *window or space, ...]` with a matrix an axis."""
    for axis, matrix in enumerate(matrices):
        pair = axis, len(matrices) + axis
        product = jnp.einsum(products, matrix, jnp.moveaxis(kernel, pair, (0, 1)))
        kernel = jnp.moveaxis(product, (0, 1), pair)
    return kernel


def _across_groups(kernel: jax.Array, groups: int) -> jax.Array:
    """Widen `[..., in/groups, out]` to `[..., in, out]`, zero where a group does not read."""
    one_group, features = kernel.shape[-2:]
    belongs = np.arange(groups)[:, None] == np.arange(features)[None, :] // (features // groups)
    # In and out channels as [groups, in/groups, out].
    belongs = np.expand_dims(belongs[:, None, :], tuple(range(kernel.ndim - 2)))
    widened = kernel[..., None, :, :] * jnp.asarray(belongs, kernel.dtype)
    return widened.reshape(*kernel.shape[:-2], groups * one_group, features)


def _bank_axes(parameters: Parameters) -> int:
    kernel = parameters["kernel"]
    if kernel.ndim % 2 or not 4 <= kernel.ndim <= 8:
        raise ValueError(
            f"a banked kernel is [*bank, *window, in/groups, out] of rank 4, 6 or 8, got shape "
            f"{kernel.shape}."
        )
    return kernel.ndim // 2 - 1


def _check_length(name: str, sizes: Sequence[int], axes: int) -> None:
    if len(sizes) != axes:
        raise ValueError(f"{name} must have one size for each of {axes} spatial axes, got {sizes}.")
