"""Receptive fields by arithmetic, through everything that a traced function does to its image."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend import core

from cnnjax.inspect.cost import shape_of


class AxisField(NamedTuple):
    """Receptive field of the first position along an axis, and the distance to the next one's."""

    start: int
    """First pixel; negative in the padding."""
    size: int
    """Pixels, with those between kernel offsets that are not adjacent (dilation)."""
    stride: int
    """Effective stride: pixels from one position to the next."""


class AxisWindow(NamedTuple):
    """A window along an axis."""

    low: int
    """Positions of padding before the first."""
    span: int
    """Positions from the first kernel offset to the last, both included."""
    stride: int
    """Positions from one window to the next."""


ALL, UNKNOWN = "all", "unknown"

Fields = tuple[AxisField, ...] | str | None
"""One field for each spatial axis; ALL, the whole image, or no whole effective stride; UNKNOWN to
this arithmetic; None where nothing depends on the image."""


def receptive_fields_of_named(
    jaxpr: core.Jaxpr, axes: int, windows: Mapping[str, Sequence[AxisWindow] | str | None]
) -> dict[str, Fields]:
    """Receptive field of every named array of a traced function in its last argument, the image.

    Convolutions, poolings, slices, padding and functions of each position alone are followed. Where
    paths meet, the field covers that of every path. Padding that repeats the image counts as zero
    padding does.

    Args:
      jaxpr: of a function whose last argument is an image `[batch, *space, channels]`, some arrays
        of which were named by `jax.ad_checkpoint.checkpoint_name`.
      axes: number of spatial axes.
      windows: for names of arrays that are computed from the array of the same name with ' input'
        after it, the windows, one a spatial axis, or ALL. They count where following the
        computation does not give ALL; None: follow the computation.
    """
    found: dict[str, Fields] = {}

    def walk(jaxpr: core.Jaxpr, inputs: list[Fields]) -> list[Fields]:
        known: dict[Any, Fields] = dict(zip(jaxpr.invars, inputs, strict=True))

        def view(variable: Any) -> Fields:
            return None if isinstance(variable, core.Literal) else known.get(variable)

        for equation in jaxpr.eqns:
            seen = [view(variable) for variable in equation.invars]
            inner = _body(equation)
            if inner is not None:
                made = walk(inner, seen)
            elif equation.primitive.name == "cond" and seen[0] is None:
                branches = [walk(each.jaxpr, seen[1:]) for each in equation.params["branches"]]
                made = [_met(outcomes) for outcomes in zip(*branches, strict=True)]
            else:
                made = [_made(equation, seen, axes)] * len(equation.outvars)
                name = equation.params.get("name") if equation.primitive.name == "name" else None
                if name is not None:
                    window = windows.get(name)
                    if window is not None and made[0] != ALL:
                        made = [_through(found[f"{name} input"], window)]
                    found[name] = made[0]
            known.update(zip(equation.outvars, made, strict=True))
        return [view(variable) for variable in jaxpr.outvars]

    unseen: list[Fields] = [None] * (len(jaxpr.invars) - 1)
    walk(jaxpr, [*unseen, (AxisField(0, 1, 1),) * axes])
    return found


def _body(equation: core.JaxprEqn) -> core.Jaxpr | None:
    """The body of a call that takes just what the equation takes."""
    for parameter in equation.params.values():
        inner = getattr(parameter, "jaxpr", parameter)
        if not isinstance(inner, core.Jaxpr) or equation.primitive.name in ("scan", "while"):
            continue
        if len(inner.invars) == len(equation.invars):
            return inner
    return None


def _made(equation: core.JaxprEqn, seen: list[Fields], axes: int) -> Fields:
    """Field of the result of an equation, from those of its arguments."""
    name = equation.primitive.name
    if name == "concatenate" and 1 <= equation.params["dimension"] <= axes:
        return _joined(equation, seen, axes)
    together = _met(seen)
    if together is None or isinstance(together, str):
        return together
    of_image = [
        shape_of(variable)
        for variable, view in zip(equation.invars, seen, strict=True)
        if view is not None
    ]
    if min(map(len, of_image)) <= axes:
        return UNKNOWN
    if name == "concatenate":
        return together
    if name in _RULES:
        # The kernel, the other factor, the indices must not depend on the image.
        alone = all(view is None for view in seen[1:])
        return _RULES[name](equation, together, axes) if alone else UNKNOWN
    params = equation.params
    over = params.get("axes", params.get("axis"))
    if name not in _MIXING and over is not None:
        each = over if isinstance(over, Sequence) else (over,)
        return ALL if {*range(1, axes + 1)} & {*each} else together
    shape = shape_of(equation.outvars[0])
    kept = all(before[: axes + 1] == shape[: axes + 1] for before in of_image)
    return together if kept and name not in _MIXING else UNKNOWN


# Positions are permuted or mixed, though the shape stays the same.
_MIXING = {"fft", "sort", "scatter", "scatter-add", "rev", "scan", "while", "cond",
           "dynamic_slice", "dynamic_update_slice", "triangular_solve", "cholesky"}  # fmt: skip


def _met(fields: Sequence[Fields]) -> Fields:
    """The smallest field that covers all of these."""
    known: list[Any] = [field for field in fields if field is not None]
    for whole in (ALL, UNKNOWN):
        if whole in known:
            return whole
    if not known:
        return None
    merged = []
    for each in zip(*known, strict=True):
        start = min(field.start for field in each)
        end = max(field.start + field.size for field in each)
        merged.append(AxisField(start, end - start, max(field.stride for field in each)))
    return tuple(merged)


def _through(fields: Fields, window: Sequence[AxisWindow] | str) -> Fields:
    """Fields of a window over positions with these fields."""
    if fields is None or isinstance(fields, str):
        return fields
    if isinstance(window, str):
        return window
    if len(window) != len(fields):
        return UNKNOWN
    return tuple(
        AxisField(
            field.start - over.low * field.stride,
            field.size + (over.span - 1) * field.stride,
            field.stride * over.stride,
        )
        for field, over in zip(fields, window, strict=True)
    )


def _joined(equation: core.JaxprEqn, seen: list[Fields], axes: int) -> Fields:
    """Arrays concatenated along a spatial axis: the longest counts, the others are padding."""
    axis = equation.params["dimension"]
    sizes = [shape_of(variable)[axis] for variable in equation.invars]
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    before = sum(sizes[:longest])
    return _through(
        seen[longest], [AxisWindow(before if at == axis - 1 else 0, 1, 1) for at in range(axes)]
    )


def _convolution(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    params, kernel = equation.params, shape_of(equation.invars[1])
    lhs, rhs, out = params["dimension_numbers"]
    channels_last = (0, axes + 1, *range(1, axes + 1))
    if tuple(lhs) != channels_last or tuple(out) != channels_last:
        return UNKNOWN
    if math.prod(params["lhs_dilation"]) > 1:
        return ALL
    each = zip([kernel[at] for at in rhs[2:]], params["rhs_dilation"], params["window_strides"])
    return _through(fields, _windows(params["padding"], each))


def _reduced_window(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    params = equation.params
    sizes, dilations = params["window_dimensions"], params.get("window_dilation")
    base = math.prod(params.get("base_dilation") or (1,))
    if len(sizes) != axes + 2 or sizes[0] * sizes[-1] * base > 1:
        return UNKNOWN
    each = list(zip(sizes, dilations or (1,) * len(sizes), params["window_strides"]))
    return _through(fields, _windows(params["padding"][1:-1], each[1:-1]))


def _sliced(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    params = equation.params
    inside = slice(1, axes + 1)
    strides = (params["strides"] or (1,) * (axes + 1))[inside]
    starts = params["start_indices"][inside]
    return _through(fields, [AxisWindow(-start, 1, step) for start, step in zip(starts, strides)])


def _padded(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    sides = equation.params["padding_config"][1 : axes + 1]
    if any(inner for _, _, inner in sides):
        return UNKNOWN
    return _through(fields, [AxisWindow(low, 1, 1) for low, _, _ in sides])


def _moved(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    params = equation.params
    order = params.get("permutation", params.get("broadcast_dimensions"))
    return fields if tuple(order[: axes + 1]) == tuple(range(axes + 1)) else UNKNOWN


def _squeezed(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    return fields if min(equation.params["dimensions"], default=axes + 1) > axes else UNKNOWN


def _gathered(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    """Channels may be selected by index, positions not."""
    before, after = shape_of(equation.invars[0]), shape_of(equation.outvars[0])
    whole = slice(0, axes + 1)
    kept = before[whole] == after[whole] == tuple(equation.params["slice_sizes"][whole])
    return fields if kept else UNKNOWN


def _multiplied(equation: core.JaxprEqn, fields: Fields, axes: int) -> Fields:
    (contracted, _), (batch, _) = equation.params["dimension_numbers"]
    space = set(range(1, axes + 1))
    if batch:
        return UNKNOWN
    return ALL if space & set(contracted) else fields


def _windows(padding: Sequence, each: Iterable[tuple[int, int, int]]) -> list[AxisWindow]:
    """From the padding, and size, dilation and stride of each axis."""
    return [
        AxisWindow(low, (size - 1) * dilation + 1, stride)
        for (low, _), (size, dilation, stride) in zip(padding, each, strict=True)
    ]


_RULES: dict[str, Callable[[core.JaxprEqn, Fields, int], Fields]] = {
    "conv_general_dilated": _convolution,
    "reduce_window": _reduced_window,
    "reduce_window_max": _reduced_window,
    "reduce_window_min": _reduced_window,
    "reduce_window_sum": _reduced_window,
    "slice": _sliced,
    "pad": _padded,
    "transpose": _moved,
    "broadcast_in_dim": _moved,
    "squeeze": _squeezed,
    "gather": _gathered,
    "dot_general": _multiplied,
}
