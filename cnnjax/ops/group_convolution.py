"""Group convolutions over rotations by 90 degrees (p4), and over these and reflections (p4m).

The group is given by its number of elements, 4 or 8. Element `k + 4 m` reflects left-right if m
is 1, then rotates k times by 90 degrees, counter-clockwise as seen on a screen: r^k s^m. An element
h acts on a regular feature map by `(h f)[p, g] = f[h^-1 p, h^-1 g]`.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from cnnjax.ops import geometry
from cnnjax.ops.convolution import Sizes, conv

ROTATIONS, ROTATIONS_AND_REFLECTIONS = 4, 8
"""The groups p4 and p4m, by their number of elements."""


def lifting_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    group: int = ROTATIONS,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Convolve an image with all rotated (and reflected) copies of one kernel.

        z[p, g, o] = sum over a, c of x[p strides + a, c] kernel[g^-1 a, c, o]

    where g rotates the window about its centre. Computed as one convolution with |G| times the
    features. Returns `[*leading, out_height, out_width, group, out]`.
    Symmetry: `z(h x)[p, g] = z(x)[h^-1 p, h^-1 g]` for all h of the group where `turns_exactly`
    holds on both axes; shifts as for `conv`.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, eq. 10.

    Args:
      x: `[*leading, height, width, in]`.
      kernel: `[side, side, in, out]`.
      group: 4, rotations by 90 degrees; 8, reflections, too.
      strides, kernel_dilation: one int, or the same for both axes.
      padding, precision: as for `conv`.

    Raises:
      ValueError: another group, a kernel, strides or dilation that is not square, and as `conv`.
    """
    kernels = lifting_kernels(kernel, group=group)
    options = {"strides": strides, "padding": padding, "kernel_dilation": kernel_dilation}
    return regular_conv(x, kernels, precision=precision, **options)


def group_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Convolve a regular feature map over positions and group with one kernel.

        z[p, g, o] = sum over a, h, c of x[p strides + a, h, c] kernel[g^-1 a, g^-1 h, c, o]

    Computed as one convolution from |G| in to |G| out channels.
    Returns `[*leading, out_height, out_width, group, out]`.
    Symmetry: `z(h x) = h z(x)` where `turns_exactly` holds on both axes; shifts as for `conv`.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, eq. 11.

    Args:
      x: `[*leading, height, width, group, in]`, 4 or 8 elements.
      kernel: `[side, side, group, in, out]`.
      strides, padding, kernel_dilation, precision: as for `lifting_conv`.

    Raises:
      ValueError: as `lifting_conv`, and x of another group than the kernel.
    """
    kernels = group_kernels(kernel)
    options = {"strides": strides, "padding": padding, "kernel_dilation": kernel_dilation}
    return regular_conv(x, kernels, precision=precision, **options)


def lifting_kernels(kernel: jax.Array, *, group: int = ROTATIONS) -> jax.Array:
    """All rotated (and reflected) copies of the kernel of a lifting convolution.

        kernels[a, c, g, o] = kernel[g^-1 a, c, o]

    Returns `[side, side, in, group, out]`, as `regular_conv` takes it.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016.

    Args:
      kernel: `[side, side, in, out]`.
      group: 4, rotations by 90 degrees; 8, reflections, too.

    Raises:
      ValueError: another group, or a kernel that is not square.
    """
    _check_kernel(group, kernel, 4)
    return jnp.stack([_transformed(kernel, element) for element in range(group)], axis=-2)


def group_kernels(kernel: jax.Array) -> jax.Array:
    """All copies of the kernel of a group convolution, transformed in the window and in the group.

        kernels[a, h, c, g, o] = kernel[g^-1 a, g^-1 h, c, o]

    Returns `[side, side, group, in, group, out]`, as `regular_conv` takes it.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016.

    Args:
      kernel: `[side, side, group, in, out]`, 4 or 8 elements.

    Raises:
      ValueError: another group, or a kernel that is not square.
    """
    group = kernel.shape[2] if kernel.ndim == 5 else 0
    _check_kernel(group, kernel, 5)
    copies = []
    for element in range(group):
        # Split and joined: indexing by a list is a gather, whose gradient is a scatter.
        parts = jnp.split(_transformed(kernel, element), group, axis=2)
        sources = [product(inverse(element), other) for other in range(group)]
        copies.append(jnp.concatenate([parts[source] for source in sources], axis=2))
    return jnp.stack(copies, axis=-2)


def regular_conv(
    x: jax.Array,
    kernels: jax.Array,
    *,
    strides: Sizes = 1,
    padding: geometry.Padding = "SAME",
    kernel_dilation: Sizes = 1,
    precision: lax.PrecisionLike = None,
) -> jax.Array:
    """Convolve to regular features with one kernel for each element of the group.

        z[p, g, o] = sum over a, c of x[p strides + a, c] kernels[a, c, g, o]
        z[p, g, o] = sum over a, h, c of x[p strides + a, h, c] kernels[a, h, c, g, o]

    Computed as one convolution to |G| out channels.
    Returns `[*leading, out_height, out_width, group, out]`.
    Symmetry: shifts as for `conv`; that of the group where all kernels are copies of one, as
    `lifting_kernels` and `group_kernels` make them.

    Args:
      x: images `[*leading, height, width, in]`, or regular features
        `[*leading, height, width, group, in]`.
      kernels: `[side, side, in, group, out]`, or `[side, side, group, in, group, out]`.
      strides, padding, kernel_dilation, precision: as for `lifting_conv`.

    Raises:
      ValueError: strides or dilation that is not square, x that does not fit the kernels, and as
        `conv`.
    """
    for name, value in (("strides", strides), ("kernel_dilation", kernel_dilation)):
        if isinstance(value, tuple | list) and len(set(value)) > 1:
            raise ValueError(f"{name} must be the same on both axes, got {value!r}.")
    entries = kernels.shape[2:-2]
    if x.ndim < 2 + len(entries) or x.shape[x.ndim - len(entries) :] != entries:
        named = "".join(f", {size}" for size in entries)
        raise ValueError(
            f"x for kernels of shape {kernels.shape} must be [*leading, height, width{named}], got "
            f"shape {x.shape}."
        )
    channels, outputs = math.prod(entries), kernels.shape[-2:]
    # Spelled out: an empty batch does not tell the last size.
    z = conv(
        x.reshape(*x.shape[: x.ndim - len(entries)], channels),
        kernels.reshape(*kernels.shape[:2], channels, math.prod(outputs)),
        strides=strides,
        padding=padding,
        kernel_dilation=kernel_dilation,
        precision=precision,
    )
    return z.reshape(*z.shape[:-1], *outputs)


def group_pool(x: jax.Array, reduction: str = "max") -> jax.Array:
    """Pool a regular feature map over the group: `[..., group, channels]` to `[..., channels]`.

    Symmetry: an element acts on the output as on the input, and leaves its channels alone.
    Source: Cohen & Welling, Group equivariant convolutional networks, 2016, section 6.3.

    Raises:
      ValueError: a reduction other than 'max' and 'mean', or an axis that is no group.
    """
    if reduction not in ("max", "mean"):
        raise ValueError(f"reduction must be 'max' or 'mean', got {reduction!r}.")
    _check_group(x.shape[-2] if x.ndim > 1 else 0, f"group_pool of x of shape {x.shape}")
    return x.max(-2) if reduction == "max" else x.mean(-2)


def turns_exactly(
    size: int,
    window: int,
    stride: int = 1,
    padding: str | int | tuple[int, int] = "SAME",
    kernel_dilation: int = 1,
) -> bool:
    """Whether the windows over an axis lie symmetrically, so that a mirrored axis has the same.

    First and last window must be equally far from their ends: `(out - 1) stride + span = size + 2
    low`. True for odd windows with 'SAME', 'CIRCULAR' or 'REFLECT' at stride 1, and for 'VALID'
    and 'FULL' at stride 1 always. 'SAME' with stride 2 and an odd window is exact on odd sizes
    only, so that two such layers are exact on sizes 4 k + 1 and n of them on 2^n k + 1.
    """
    low, _ = geometry.padding_pair(size, window, stride, padding, kernel_dilation)
    positions = geometry.output_size(size, window, stride, padding, kernel_dilation)
    reach = (positions - 1) * stride + geometry.span(window, kernel_dilation)
    return reach == size + 2 * low


def product(first: int, second: int) -> int:
    """The element that applies `second`, then `first`: r^k s^m r^l s^n = r^(k ± l) s^(m + n)."""
    rotations, reflected = first % 4, first // 4
    sign = -1 if reflected else 1
    return (rotations + sign * second) % 4 + 4 * ((reflected + second // 4) % 2)


def inverse(element: int) -> int:
    """The element that undoes this one; a reflection undoes itself."""
    return element if element >= 4 else -element % 4


def _transformed(kernel: jax.Array, element: int) -> jax.Array:
    """The kernel as an image on which an element acts: `result[a] = kernel[element^-1 a]`."""
    if element >= 4:
        kernel = jnp.flip(kernel, 1)
    return jnp.rot90(kernel, element % 4)


def _check_kernel(group: int, kernel: jax.Array, rank: int) -> None:
    shape = kernel.shape
    names = "[side, side, in, out]" if rank == 4 else "[side, side, group, in, out]"
    if len(shape) != rank or shape[0] != shape[1]:
        raise ValueError(f"a kernel over a group of rotations must be {names}, got shape {shape}.")
    _check_group(group, f"a kernel of shape {shape}")


def _check_group(group: int, where: str) -> None:
    if group not in (ROTATIONS, ROTATIONS_AND_REFLECTIONS):
        raise ValueError(
            f"a group has 4 elements (rotations by 90 degrees) or 8 (and reflections), got "
            f"{group!r} in {where}."
        )
