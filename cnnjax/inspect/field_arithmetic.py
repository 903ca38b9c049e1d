"""Receptive fields by arithmetic, through everything that a traced function does to its image."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend import core


class View(NamedTuple):
    """What the first position along an axis sees of the image, and how far the next one is."""

    start: int
    """First pixel; below 0 in the border."""
    field: int
    """Pixels, with those between taps that lie apart."""
    jump: int
    """Pixels from one position to the next."""


class Tap(NamedTuple):
    """A window along an axis."""

    low: int
    """Positions of padding before the first."""
    span: int
    """Positions from the first tap to the last, both included."""
    stride: int
    """Positions from one window to the next."""


Views = tuple[View, ...] | str | None
"""One view a spatial axis; 'all' where everything is seen or arithmetic cannot tell; None where
nothing of the image is."""


def views_of_marks(
    jaxpr: core.Jaxpr, axes: int, windows: Mapping[str, Sequence[Tap] | str | None]
) -> dict[str, Views]:
    """What every named array of a traced function sees of its last argument, the image.

    Convolutions, poolings, slices, borders and what works on each position alone are followed; of
    all else is said that it sees everything. Where paths meet, everything that one of them sees is
    seen. Borders that repeat the image count as zeros do.

    Args:
      jaxpr: of a function whose last argument is an image `[batch, *space, channels]`, some arrays
        of which were named by `jax.ad_checkpoint.checkpoint_name`.
      axes: number of spatial axes.
      windows: names of arrays that a known window, or 'all', has made of the array of the same name
        with ' input' after it; None for what is to be followed.
    """
    found: dict[str, Views] = {}

    def walk(jaxpr: core.Jaxpr, inputs: list[Views]) -> list[Views]:
        known: dict[Any, Views] = dict(zip(jaxpr.invars, inputs, strict=True))

        def view(variable: Any) -> Views:
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
                    if window is not None:
                        made = [_through(found[f"{name} input"], window)]
                    found[name] = made[0]
            known.update(zip(equation.outvars, made, strict=True))
        return [view(variable) for variable in jaxpr.outvars]

    unseen: list[Views] = [None] * (len(jaxpr.invars) - 1)
    walk(jaxpr, [*unseen, (View(0, 1, 1),) * axes])
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


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _made(equation: core.JaxprEqn, seen: list[Views], axes: int) -> Views:
    """What the result of an equation sees, its arguments seeing this."""
    name = equation.primitive.name
    if name == "concatenate" and 1 <= equation.params["dimension"] <= axes:
        return _joined(equation, seen, axes)
    together = _met(seen)
    if together is None or isinstance(together, str):
        return together
    of_image = [
        _shape(variable)
        for variable, view in zip(equation.invars, seen, strict=True)
        if view is not None
    ]
    if min(map(len, of_image)) <= axes:
        return "all"
    if name == "concatenate":
        return together
    if name in _RULES:
        # Of the kernel, the other factor, the indices, nothing must come from the image.
        alone = all(view is None for view in seen[1:])
        return _RULES[name](equation, together, axes) if alone else "all"
    params = equation.params
    over = params.get("axes", params.get("axis"))
    if name not in _MIXING and over is not None:
        each = over if isinstance(over, Sequence) else (over,)
        return "all" if {*range(1, axes + 1)} & {*each} else together
    shape = _shape(equation.outvars[0])
    kept = all(before[: axes + 1] == shape[: axes + 1] for before in of_image)
    return together if kept and name not in _MIXING else "all"


# Where positions change places or are mixed, though the shape stays.
_MIXING = {"fft", "sort", "scatter", "scatter-add", "rev", "scan", "while", "cond",
           "dynamic_slice", "dynamic_update_slice", "triangular_solve", "cholesky"}  # fmt: skip


def _met(views: Sequence[Views]) -> Views:
    """Everything that any of several sees."""
    told: list[Any] = [view for view in views if view is not None]
    if not told or "all" in told:
        return "all" if told else None
    merged = []
    for each in zip(*told, strict=True):
        start = min(view.start for view in each)
        end = max(view.start + view.field for view in each)
        merged.append(View(start, end - start, max(view.jump for view in each)))
    return tuple(merged)


def _through(views: Views, window: Sequence[Tap] | str) -> Views:
    """What is seen through a window, from above."""
    if views is None or isinstance(views, str) or isinstance(window, str):
        return None if views is None else "all"
    if len(window) != len(views):
        return "all"
    return tuple(
        View(
            view.start - tap.low * view.jump,
            view.field + (tap.span - 1) * view.jump,
            view.jump * tap.stride,
        )
        for view, tap in zip(views, window, strict=True)
    )


def _joined(equation: core.JaxprEqn, seen: list[Views], axes: int) -> Views:
    """Of arrays put behind one another along space: the longest counts, the others are border."""
    axis = equation.params["dimension"]
    sizes = [_shape(variable)[axis] for variable in equation.invars]
    longest = max(range(len(sizes)), key=sizes.__getitem__)
    before = sum(sizes[:longest])
    return _through(
        seen[longest], [Tap(before if at == axis - 1 else 0, 1, 1) for at in range(axes)]
    )


def _convolution(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    params, kernel = equation.params, _shape(equation.invars[1])
    lhs, rhs, out = params["dimension_numbers"]
    channels_last = (0, axes + 1, *range(1, axes + 1))
    dilated = math.prod(params["lhs_dilation"]) > 1
    if tuple(lhs) != channels_last or tuple(out) != channels_last or dilated:
        return "all"
    spans = [
        (kernel[at] - 1) * dilation + 1
        for at, dilation in zip(rhs[2:], params["rhs_dilation"], strict=True)
    ]
    return _through(views, _taps(params["padding"], spans, params["window_strides"]))


def _reduced_window(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    params = equation.params
    dilations = params.get("window_dilation") or (1,) * (axes + 2)
    spans = [
        (taps - 1) * dilation + 1
        for taps, dilation in zip(params["window_dimensions"], dilations, strict=True)
    ]
    base = math.prod(params.get("base_dilation") or (1,))
    if len(spans) != axes + 2 or spans[0] * spans[-1] * base > 1:
        return "all"
    inside = slice(1, -1)
    return _through(
        views,
        _taps(params["padding"][inside], spans[inside], params["window_strides"][inside]),
    )


def _sliced(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    params = equation.params
    inside = slice(1, axes + 1)
    strides = (params["strides"] or (1,) * (axes + 1))[inside]
    starts = params["start_indices"][inside]
    return _through(views, [Tap(-start, 1, step) for start, step in zip(starts, strides)])


def _padded(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    sides = equation.params["padding_config"][1 : axes + 1]
    if any(inner for _, _, inner in sides):
        return "all"
    return _through(views, [Tap(low, 1, 1) for low, _, _ in sides])


def _reshaped(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    before, after = _shape(equation.invars[0]), _shape(equation.outvars[0])
    return views if before[: axes + 1] == after[: axes + 1] else "all"


def _moved(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    params = equation.params
    order = params.get("permutation", params.get("broadcast_dimensions"))
    return views if tuple(order[: axes + 1]) == tuple(range(axes + 1)) else "all"


def _squeezed(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    return views if min(equation.params["dimensions"], default=axes + 1) > axes else "all"


def _gathered(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    """Channels may be chosen by number, positions not."""
    before, after = _shape(equation.invars[0]), _shape(equation.outvars[0])
    whole = slice(0, axes + 1)
    kept = before[whole] == after[whole] == tuple(equation.params["slice_sizes"][whole])
    return views if kept else "all"


def _multiplied(equation: core.JaxprEqn, views: Views, axes: int) -> Views:
    (contracted, _), (batch, _) = equation.params["dimension_numbers"]
    space = set(range(1, axes + 1))
    return "all" if batch or space & set(contracted) else views


def _taps(padding: Sequence, spans: Sequence[int], strides: Sequence[int]) -> list[Tap]:
    each = zip(padding, spans, strides, strict=True)
    return [Tap(low, span, stride) for (low, _), span, stride in each]


_RULES: dict[str, Callable[[core.JaxprEqn, Views, int], Views]] = {
    "conv_general_dilated": _convolution,
    "reduce_window": _reduced_window,
    "reduce_window_max": _reduced_window,
    "reduce_window_min": _reduced_window,
    "reduce_window_sum": _reduced_window,
    "slice": _sliced,
    "pad": _padded,
    "reshape": _reshaped,
    "transpose": _moved,
    "broadcast_in_dim": _moved,
    "squeeze": _squeezed,
    "gather": _gathered,
    "dot_general": _multiplied,
}
