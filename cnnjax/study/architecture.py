"""What a network is, layer by layer, without computing anything: traced, not run."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name
from jax.extend import core

from cnnjax.inspect import multiply_adds, parameter_count
from cnnjax.layers import ConvTranspose, FullyConnected
from cnnjax.ops.geometry import span
from cnnjax.ops.window import per_axis

_MARK = "cnnjax layer "


@dataclasses.dataclass(frozen=True)
class Layer:
    """A module that holds no other, at one call."""

    name: str
    """Names of the modules it is in, and its own."""
    kind: str
    """Name of its class."""
    input_shape: tuple[int, ...]
    """`[*space, channels]` of one image."""
    output_shape: tuple[int, ...]
    """`[*space, channels]`, or `[units]`."""
    parameters: int
    """Its own; of a module that is called twice they count once."""
    multiply_adds: int
    """For one image."""
    receptive_field: tuple[int, ...] | None
    """Pixels that one output position sees, along each axis of the image, border included; None:
    all, or not known by arithmetic."""
    jump: tuple[int, ...] | None
    """Pixels from one output position to the next."""


def layers_of(model: nn.Module, image_shape: Sequence[int]) -> list[Layer]:
    """The layers of a network in the order of their calls, at evaluation.

    Receptive fields by arithmetic: a window adds (span - 1) times the jump below it, a stride
    multiplies the jump, and where paths meet the largest of each holds. What is neither a window
    (`kernel_size` or `window_shape`, and `strides`) nor keeps the space sees everything.
    Modules that hand their input on, such as dropout, are left out.

    Args:
      model: called with a batch of images; gives one array.
      image_shape: `[*space, channels]`.
    """
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    calls: list[tuple] = []
    inside: list[bool] = []

    def watch(next_function, args, kwargs, context):
        if context.method_name != "__call__":
            return next_function(*args, **kwargs)
        inside.append(False)
        found = next_function(*args, **kwargs)
        holds_others = inside.pop()
        if inside:
            inside[-1] = True
        if holds_others or not isinstance(found, jax.Array) or found is args[0]:
            return found
        module = context.module
        calls.append((module.clone(parent=None), module.path, args, kwargs, found.shape[1:]))
        return checkpoint_name(found, f"{_MARK}{len(calls) - 1}")

    with nn.intercept_methods(watch):
        jaxpr = jax.make_jaxpr(model.apply)(variables, image).jaxpr
    windows = [_window(module, args[0].shape[1:], shape) for module, _, args, _, shape in calls]
    views = _views(jaxpr, windows, len(image_shape) - 1)
    layers, counted = [], set()
    for number, (module, path, args, kwargs, shape) in enumerate(calls):
        own = _at(variables, path)
        arrays = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in args[:1]]
        cost = multiply_adds(
            lambda v, x, module=module, rest=args[1:], kwargs=kwargs: module.apply(
                v, x, *rest, **kwargs
            ),
            own,
            *arrays,
        )
        field, jump = views.get(number) or (None, None)
        layers.append(
            Layer(
                name="/".join(path),
                kind=type(module).__name__,
                input_shape=tuple(args[0].shape[1:]),
                output_shape=tuple(shape),
                parameters=0 if path in counted else parameter_count(own.get("params", {})),
                multiply_adds=cost,
                receptive_field=field,
                jump=jump,
            )
        )
        counted.add(path)
    return layers


def _at(variables: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """The variables of the module at a path, in every collection that has any."""
    found = {}
    for collection, tree in variables.items():
        for name in path:
            tree = tree.get(name, {})
        if tree:
            found[collection] = tree
    return found


Window = list[tuple[int, int]] | None
"""(span, stride) for each axis; None: everything is seen."""


def _window(module: nn.Module, input_shape: tuple[int, ...], shape: tuple[int, ...]) -> Window:
    axes = len(input_shape) - 1
    taps = getattr(module, "kernel_size", None) or getattr(module, "window_shape", None)
    unlike = isinstance(module, (FullyConnected, ConvTranspose, nn.ConvTranspose))
    dilated = getattr(module, "input_dilation", 1) not in (1, (1,) * axes)
    if len(shape) != len(input_shape) or not axes or unlike or dilated:
        return None
    if taps is None:
        return [(1, 1)] * axes if shape[:-1] == input_shape[:-1] else None
    each = zip(
        per_axis("kernel_size", taps, axes),
        per_axis("kernel_dilation", getattr(module, "kernel_dilation", 1), axes),
        per_axis("strides", getattr(module, "strides", 1), axes),
    )
    return [(span(size, dilation), stride) for size, dilation, stride in each]


def _views(jaxpr: core.Jaxpr, windows: list[Window], axes: int) -> dict[int, Any]:
    """Field and jump of every marked array, from the image, the last argument, to the output.

    A view is (field, jump), one entry an axis; 'all' sees everything; None is no function of the
    image.
    """
    views: dict[int, Any] = {}

    def walk(jaxpr: core.Jaxpr, inputs: list) -> list:
        known = dict(zip(jaxpr.invars, inputs, strict=True))

        def view(variable):
            return None if isinstance(variable, core.Literal) else known.get(variable)

        for equation in jaxpr.eqns:
            seen = [view(variable) for variable in equation.invars]
            inner = _body(equation)
            if inner is not None:
                found = walk(inner, seen)
            else:
                found = [_met(seen)] * len(equation.outvars)
                mark = str(equation.params.get("name", ""))
                if equation.primitive.name == "name" and mark.startswith(_MARK):
                    number = int(mark.removeprefix(_MARK))
                    found = [_through(found[0], windows[number])]
                    views[number] = found[0] if isinstance(found[0], tuple) else None
            known.update(zip(equation.outvars, found, strict=True))
        return [view(variable) for variable in jaxpr.outvars]

    unseen = [None] * (len(jaxpr.invars) - 1)
    walk(jaxpr, [*unseen, ((1,) * axes, (1,) * axes)])
    return views


def _body(equation: core.JaxprEqn) -> core.Jaxpr | None:
    """The body of a call that takes just what the equation takes."""
    for parameter in equation.params.values():
        inner = getattr(parameter, "jaxpr", parameter)
        if not isinstance(inner, core.Jaxpr) or equation.primitive.name in ("scan", "while"):
            continue
        if len(inner.invars) == len(equation.invars):
            return inner
    return None


def _met(seen: list) -> Any:
    """The view of something made of several."""
    seen = [view for view in seen if view is not None]
    if "all" in seen:
        return "all"
    if not seen:
        return None
    fields, jumps = zip(*seen, strict=True)
    return tuple(map(max, zip(*fields))), tuple(map(max, zip(*jumps)))


def _through(view: Any, window: Window) -> Any:
    """The view through a window from above."""
    if view is None or view == "all" or window is None or len(window) != len(view[0]):
        return "all" if view is not None else None
    each = [
        (field + (reach - 1) * jump, jump * stride)
        for field, jump, (reach, stride) in zip(*view, window, strict=True)
    ]
    fields, jumps = zip(*each, strict=True)
    return fields, jumps
