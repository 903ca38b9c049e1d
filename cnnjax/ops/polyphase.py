"""Downsampling that keeps the polyphase component which the content chooses, not the grid.

With strides s an image consists of prod(s) components, `x[i::s]` for each offset i. A stride keeps
offset 0; what is kept here moves with the image, so that every circular shift is a symmetry.
"""

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from cnnjax.ops.blur_pooling import per_spatial_axis
from cnnjax.ops.convolution import Sizes
from cnnjax.ops.window import as_floating


def polyphase_components(x: jax.Array, strides: Sizes = 2) -> jax.Array:
    """All components: `components[..., k, p, c] = x[..., p strides + offset_k, c]`.

    Returns `[*leading, prod(strides), *space / strides, channels]`, offsets in reading order.
    Source: Vaidyanathan, Multirate systems and filter banks, 1993, section 4.3.

    Args:
      x: `[*leading, *space, channels]`; all axes but the first and last are spatial, unless
        `strides` has one int a spatial axis.
      strides: of the grid; they must divide the sizes.

    Raises:
      ValueError: strides that do not divide the axes.
    """
    return _split("polyphase_components", x, strides)[0]


def polyphase_component(x: jax.Array, index: jax.Array, strides: Sizes = 2) -> jax.Array:
    """The component of each image that `index` `[*leading]` of `adaptive_polyphase` names.

    Branches that meet again, such as the two of a residual block, must keep the same component.
    x and strides as for `polyphase_components`.
    """
    components, axes = _split("polyphase_component", x, strides)
    return _chosen(components, index, axes)


def adaptive_polyphase(
    x: jax.Array, *, strides: Sizes = 2, order: float = 2.0
) -> tuple[jax.Array, jax.Array]:
    """Keep the polyphase component of largest norm: adaptive polyphase sampling (APS).

        k* = argmax over k of ||components_k||_order,    z = components_{k*}

    Returns z `[*leading, *space / strides, channels]`, and k* `[*leading]`, int32.
    Symmetry: every circular shift of x by any number of positions shifts z circularly, exactly,
    unless two components have equal norms.
    Source: Chaman & Dokmanic, Truly shift-invariant convolutional neural networks, 2021, eq. 4.

    Args:
      x: `[*leading, *space, channels]`, as for `polyphase_components`.
      strides: of the grid; they must divide the sizes.
      order: of the norm: 1, 2, ... or infinity.

    Raises:
      ValueError: strides that do not divide the axes, or an order below 1.
    """
    if not order >= 1:
        raise ValueError(f"order of the norm must be at least 1, got {order!r}.")
    components, axes = _split("adaptive_polyphase", x, strides)
    magnitudes = _flat(jnp.abs(components), axes)
    # In parts of the largest, of which no power underflows or overflows for all components alike.
    largest = magnitudes.max((-2, -1), keepdims=True)
    magnitudes = magnitudes / jnp.where(largest > 0, largest, 1)
    # The root does not change which is largest; a sum in float32, however x is stored.
    if math.isinf(order):
        sizes = magnitudes.max(-1)
    else:
        sizes = (magnitudes.astype(jnp.promote_types(x.dtype, jnp.float32)) ** order).sum(-1)
    index = jnp.argmax(sizes, axis=-1).astype(jnp.int32)
    return _chosen(components, index, axes), index


def mixed_polyphase(x: jax.Array, weights: jax.Array, *, strides: Sizes = 2) -> jax.Array:
    """A weighted sum of the components: `z[p] = sum over k of weights[k] components_k[p]`.

    Learnable polyphase sampling with weights `[*leading, prod(strides)]` that are nearly one-hot
    while it is trained; x and strides as for `polyphase_components`.
    Source: Rojas-Gomez, Lim, Schwing, Do, Yeh, Learnable polyphase sampling for shift invariant and
    equivariant convolutional networks, 2022, section 4.
    """
    components, axes = _split("mixed_polyphase", as_floating(x), strides)
    if weights.shape != components.shape[: -axes - 1]:
        raise ValueError(
            f"mixed_polyphase of x {x.shape} needs weights {components.shape[: -axes - 1]}, one a "
            f"component, got shape {weights.shape}."
        )
    shape = (*components.shape[: -axes - 2], *components.shape[-axes - 1 :])
    # Flat: on CPU, jax 0.10 may die of sums of products over arrays of 7 axes.
    components = _flat(components, axes)
    return (weights.astype(components.dtype)[..., None] * components).sum(-2).reshape(shape)


def _split(operator_name: str, x: jax.Array, strides: Sizes) -> tuple[jax.Array, int]:
    """All components, and the number of spatial axes."""
    steps = per_spatial_axis(operator_name, x, strides)
    axes = len(steps)
    space = x.shape[-axes - 1 : -1]
    if any(size % step for size, step in zip(space, steps, strict=True)):
        raise ValueError(f"strides {steps} must divide the sizes of x, got shape {x.shape}.")
    components = [
        x[(..., *(slice(start, None, step) for start, step in zip(offset, steps)), slice(None))]
        for offset in itertools.product(*map(range, steps))
    ]
    return jnp.stack(components, axis=x.ndim - axes - 1), axes


def _flat(components: jax.Array, axes: int) -> jax.Array:
    """Each component as one row: `[*leading, prod(strides), entries]`."""
    shape = components.shape
    return components.reshape(*shape[: -axes - 1], math.prod(shape[-axes - 1 :]))


def _chosen(components: jax.Array, index: jax.Array, axes: int) -> jax.Array:
    """Entry `index` [*leading] of the components [*leading, k, *space, channels]."""
    leading: Sequence[int] = components.shape[: -axes - 2]
    if index.shape != tuple(leading):
        raise ValueError(
            f"components of shape {components.shape} are chosen by an index {tuple(leading)}, one "
            f"an image, got shape {index.shape}."
        )
    index = index.reshape(*leading, *(1,) * (axes + 2))
    return jnp.take_along_axis(components, index, axis=-axes - 2).squeeze(-axes - 2)
