"""The integer arithmetic of windows on a grid: sizes, borders, weights, receptive fields, lattices.

Every function is exact, knows nothing of arrays in JAX, and speaks of one axis unless it takes
sizes of all axes. A window of size `window` with dilation d spans `(window - 1) d + 1` positions.
"""

import math
import operator
from collections.abc import Sequence

import numpy as np

Padding = str | int | Sequence[int | tuple[int, int]]
"""One of PADDING_NAMES, zeros on every side, or one int or (low, high) pair an axis."""

PADDING_NAMES = ("SAME", "VALID", "FULL", "CIRCULAR", "REFLECT")


def positive(name: str, value: int) -> int:
    """Return `value` as an int, or raise ValueError where it is not an integer of at least 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError(f"{name} must be an integer, got {value!r}.")
    number = operator.index(value)
    if number < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}.")
    return number


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        positive(name, value)


def span(window: int, dilation: int = 1) -> int:
    """Positions from the first to the last entry of a dilated window: (window - 1) dilation + 1."""
    return (window - 1) * dilation + 1


def dilated_size(size: int, input_dilation: int = 1, padding: Padding = "VALID") -> int:
    """Length of an axis after d - 1 zeros were put between its entries.

    (size - 1) d + 1, or `size * d` under 'CIRCULAR' padding, where the last entry has a right
    neighbour as well: the first.
    """
    return size * input_dilation if padding == "CIRCULAR" else span(size, input_dilation)


def padding_pair(
    size: int,
    window: int,
    stride: int = 1,
    padding: str | int | tuple[int, int] = "VALID",
    kernel_dilation: int = 1,
    input_dilation: int = 1,
) -> tuple[int, int]:
    """How many positions a padding adds below and above one axis.

    With w the span of the window and n the (dilated) size: VALID (0, 0); FULL (w-1, w-1); CIRCULAR
    and REFLECT ((w-1)//2, w//2); SAME max((ceil(n/s) - 1) s + w - n, 0) in all, the odd one above;
    an int p (p, p); a pair itself.

    Raises:
      ValueError: unknown name, or negative padding.
    """
    window_span = span(window, kernel_dilation)
    if isinstance(padding, str):
        if padding == "VALID":
            return 0, 0
        if padding == "FULL":
            return window_span - 1, window_span - 1
        if padding in ("CIRCULAR", "REFLECT"):
            return (window_span - 1) // 2, window_span // 2
        if padding == "SAME":
            length = dilated_size(size, input_dilation)
            total = max((-(-length // stride) - 1) * stride + window_span - length, 0)
            return total // 2, total - total // 2
        raise ValueError(
            f"padding must be one of {', '.join(PADDING_NAMES)}, an int, or one int or (low, high) "
            f"pair an axis, got {padding!r}."
        )
    try:
        pair = (padding, padding) if not isinstance(padding, Sequence) else tuple(padding)
        low, high = (operator.index(side) for side in pair)
    except (TypeError, ValueError):
        raise ValueError(
            f"padding of an axis must be an int or a (low, high) pair, got {padding!r}."
        ) from None
    if low < 0 or high < 0:
        raise ValueError(f"padding must not be negative, got {padding!r}; crop the input instead.")
    return low, high


def output_size(
    size: int,
    window: int,
    stride: int = 1,
    padding: str | int | tuple[int, int] = "VALID",
    kernel_dilation: int = 1,
    input_dilation: int = 1,
) -> int:
    """Number of output positions of a window that slides over one axis.

        floor((n + low + high - w) / stride) + 1,    the familiar (W - F + 2P)/S + 1

    with n the (dilated) size, w the span of the window, (low, high) from `padding_pair`.

    Raises:
      ValueError: a window that does not fit, or a size, stride or dilation below 1.
    """
    dilations = {"kernel_dilation": kernel_dilation, "input_dilation": input_dilation}
    _check_positive(size=size, window=window, stride=stride, **dilations)
    low, high = padding_pair(size, window, stride, padding, kernel_dilation, input_dilation)
    length = dilated_size(size, input_dilation, padding) + low + high
    window_span = span(window, kernel_dilation)
    if length < window_span:
        raise ValueError(
            f"a window of size {window} with dilation {kernel_dilation} spans {window_span} "
            f"positions and does not fit an axis of {length} (size {size}, padding {padding!r})."
        )
    return (length - window_span) // stride + 1


def input_indices(
    size: int,
    window: int,
    stride: int = 1,
    padding: str | int | tuple[int, int] = "VALID",
    kernel_dilation: int = 1,
    input_dilation: int = 1,
) -> np.ndarray:
    """Input position that each kernel offset reads: `[output_size, window]`, -1 for a zero.

    index[p, a] = border(p stride + a dilation - low)
    """
    positions = output_size(size, window, stride, padding, kernel_dilation, input_dilation)
    low, _ = padding_pair(size, window, stride, padding, kernel_dilation, input_dilation)
    length = dilated_size(size, input_dilation, padding)
    index = (
        np.arange(positions)[:, None] * stride + np.arange(window)[None, :] * kernel_dilation - low
    )
    if padding == "CIRCULAR":
        index = index % length
    elif padding == "REFLECT":
        period = max(2 * (length - 1), 1)
        index = index % period
        index = np.minimum(index, period - index) if length > 1 else index * 0
    read = (index >= 0) & (index < length) & (index % input_dilation == 0)
    return np.where(read, index // input_dilation, -1)


def weight_count(
    kernel_size: int | Sequence[int],
    in_features: int,
    features: int,
    *,
    kernels: int = 1,
    feature_group_count: int = 1,
    use_bias: bool = False,
) -> int:
    """Number of weights: kernels * (window * in_features/groups * features + features if biased).

    `kernels` is the size of the bank: 1 standard, the product of the tile, or of the output sizes.
    `kernel_size` is the window's size on every axis; an int is a one-dimensional window.

    Raises:
      ValueError: channels that the groups do not divide.
    """
    check_groups(in_features, features, feature_group_count)
    window = math.prod(kernel_size) if isinstance(kernel_size, Sequence) else kernel_size
    one = window * (in_features // feature_group_count) * features
    return kernels * (one + (features if use_bias else 0))


def multiply_adds(
    out_space: Sequence[int],
    kernel_size: Sequence[int],
    in_features: int,
    features: int,
    *,
    feature_group_count: int = 1,
) -> int:
    """Multiply-adds of one example: positions * window * in_features/groups * features.

    The same for standard, dilated, tiled and local convolution: sharing costs nothing to compute.
    Kernel offsets that read zero padding are counted.
    """
    check_groups(in_features, features, feature_group_count)
    products = math.prod(out_space) * math.prod(kernel_size)
    return products * (in_features // feature_group_count) * features


def check_groups(in_features: int, features: int, feature_group_count: int) -> None:
    """Raise ValueError unless the groups divide both channel counts."""
    groups = positive("feature_group_count", feature_group_count)
    for name, count in (("input channels", in_features), ("features", features)):
        if count % groups:
            raise ValueError(
                f"feature_group_count {groups} must divide the number of {name}, got {count}."
            )


def receptive_field(layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Receptive field and effective stride of a stack of windows on one axis, in input positions.

        field <- field + (window - 1) dilation effective,    effective <- effective stride

    Layers are (window, stride, dilation), from the input upwards.
    """
    field = effective_stride = 1
    for window, stride, dilation in layers:
        _check_positive(window=window, stride=stride, dilation=dilation)
        field += (span(window, dilation) - 1) * effective_stride
        effective_stride *= stride
    return field, effective_stride


def predicted_step(size: int, stride: int = 1, tile: int = 1, input_dilation: int = 1) -> int:
    """Smallest shift of one axis, in input positions, that a circular layer commutes with exactly.

        period / gcd(period, input_dilation),  if period = stride tile divides size input_dilation
        size, that is only the zero shift,     otherwise

    A shift by m input positions moves the output by m input_dilation / stride positions, which must
    be a whole number of tiles; and around the circle the tiles must close.
    """
    _check_positive(size=size, stride=stride, tile=tile, input_dilation=input_dilation)
    period = stride * tile
    if size * input_dilation % period:
        return size
    return period // math.gcd(period, input_dilation)


def composed_step(size: int, below: int, effective_stride: int, step: int) -> int:
    """Smallest exact shift of one axis for a layer on top of others, in input positions.

    Args:
      size: size of the input's axis.
      below: the exact step of everything below the layer, in input positions.
      effective_stride: the product of the strides below the layer.
      step: the layer's own exact step, in positions of its own input.

    Returns:
      The least common multiple of `below` and `effective_stride * step` if it divides the size,
      else `size`.
    """
    together = math.lcm(below, effective_stride * step)
    return together if size % together == 0 else size
