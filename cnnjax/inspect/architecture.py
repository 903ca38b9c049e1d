"""Layers of a network: shapes, units, connections, parameters, cost and receptive fields; traced,
not computed."""

import dataclasses
import inspect
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from cnnjax.inspect.cost import multiply_adds, parameter_count
from cnnjax.inspect.field_arithmetic import ALL, AxisWindow, receptive_fields_of_named

_MARK = "cnnjax layer "
_WINDOW = ("kernel_size", "strides", "padding", "kernel_dilation")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One call of a module that contains no other module."""

    name: str
    """Path of the module, as 'Block_0/Conv_1'."""
    kind: str
    """Name of its class."""
    input_shape: tuple[int, ...]
    """`[*space, channels]` of one image."""
    output_shape: tuple[int, ...]
    """`[*space, channels]`, or `[units]`."""
    parameters: int
    """Number of its parameters; 0 at a second call, which shares those of the first."""
    multiply_adds: int
    """For one image."""
    units: int
    """Number of outputs of a layer that weighs its inputs by parameters; 0 of any other."""
    connections: int
    """Number of inputs of all units together, biases and inputs in the padding included."""
    receptive_field: tuple[int, ...] | None
    """Pixels that one output position depends on, along each axis of the image, padding included;
    None: all of them, or not known by arithmetic."""
    effective_stride: tuple[int, ...] | None
    """Pixels from one output position to the next; None as for `receptive_field`."""


def layers_of(model: nn.Module, image_shape: Sequence[int]) -> list[Layer]:
    """Layers of a network in the order of their calls, at evaluation.

        field <- field + (span - 1) stride,    stride <- stride s

    for a window that spans `(kernel_size - 1) dilation + 1` positions and moves by s; where paths
    meet, the field covers both. Windows are found by following every operation of the traced
    network. A module may also state its own, whatever computes it: a method `window(x)` that gives
    an object with `kernel_size`, `strides`, `padding` and `kernel_dilation`, one entry a spatial
    axis, padding as (low, high) pairs (all convolutions of `cnnjax.layers` have it). It counts
    unless the output has another size than such a window gives, or the operations show a dependence
    on all positions. Modules that return their input, such as dropout at evaluation, are left out.

    A layer with parameters has as many connections as multiply-adds, and one more a unit where it
    has a bias; biases and scales that follow it in modules of their own, as in batch
    normalisation, are no connections. A module may state its own, in a method
    `units_and_connections(x)` that gives both.

    Args:
      model: called with a batch of images; returns one array.
      image_shape: `[*space, channels]`.
    """
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    calls: dict[str, tuple] = {}
    inside: list[bool] = []
    begun = itertools.count()

    def watch(next_function, args, kwargs, context):
        if context.method_name != "__call__":
            return next_function(*args, **kwargs)
        mark = f"{_MARK}{next(begun)}"
        inside.append(False)
        if args and isinstance(args[0], jax.Array):
            args = (checkpoint_name(args[0], f"{mark} input"), *args[1:])
        found = next_function(*args, **kwargs)
        holds_others = inside.pop()
        if inside:
            inside[-1] = True
        if holds_others or not isinstance(found, jax.Array) or found is args[0]:
            return found
        module = context.module
        calls[mark] = (module.clone(parent=None), module.path, args, kwargs, found.shape[1:])
        return checkpoint_name(found, mark)

    with nn.intercept_methods(watch):
        jaxpr = jax.make_jaxpr(model.apply)(variables, image).jaxpr
    windows = {
        mark: _window(module, args[0], shape) for mark, (module, _, args, _, shape) in calls.items()
    }
    fields = receptive_fields_of_named(jaxpr, len(image_shape) - 1, windows)
    layers, counted = [], set()
    for mark, (module, path, args, kwargs, shape) in calls.items():
        own = _at(variables, path)
        arrays = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in args[:1]]
        cost = multiply_adds(
            lambda v, x, module=module, rest=args[1:], kwargs=kwargs: module.apply(
                v, x, *rest, **kwargs
            ),
            own,
            *arrays,
        )
        # Units without space depend on the whole image.
        field = fields.get(mark) if len(shape) > 1 else None
        known = () if field is None or isinstance(field, str) else field
        units, connections = _units(module, args[0], own.get("params", {}), cost, shape)
        layers.append(
            Layer(
                name="/".join(path),
                kind=type(module).__name__,
                input_shape=tuple(args[0].shape[1:]),
                output_shape=tuple(shape),
                parameters=0 if path in counted else parameter_count(own.get("params", {})),
                multiply_adds=cost,
                units=units,
                connections=connections,
                receptive_field=tuple(int(axis.size) for axis in known) or None,
                effective_stride=tuple(int(axis.stride) for axis in known) or None,
            )
        )
        counted.add(path)
    return layers


def cost_of(model: nn.Module, image_shape: Sequence[int]) -> tuple[int, int]:
    """Number of parameters, and of multiply-adds for one image, of the whole network.

    More than the sum over its layers where a module that contains others has parameters of its own,
    or multiplies between their calls.
    """
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    cost = multiply_adds(model.apply, variables, image)
    return parameter_count(variables.get("params", {})), cost


def _units(
    module: nn.Module, x: jax.Array, params: Any, cost: int, output_shape: Sequence[int]
) -> tuple[int, int]:
    """Units and connections of a layer, see `layers_of`."""
    stated = getattr(module, "units_and_connections", None)
    if inspect.ismethod(stated):
        found: Any = stated(x)
        return found
    if not params or not cost:
        return 0, 0
    units = math.prod(output_shape)
    return units, cost + units * ("bias" in params)


def _at(variables: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """Variables of the module at a path, in every collection that has any."""
    found = {}
    for collection, tree in variables.items():
        for name in path:
            tree = tree.get(name, {})
        if tree:
            found[collection] = tree
    return found


def _window(
    module: nn.Module, x: jax.Array, output_shape: Sequence[int]
) -> list[AxisWindow] | str | None:
    """The window that a module states, unless its output is not of the size that it gives."""
    stated = getattr(module, "window", None)
    window: Any = stated(x) if inspect.ismethod(stated) else None
    if not all(hasattr(window, name) for name in _WINDOW):
        return None
    if max(getattr(window, "input_dilation", (1,))) > 1:
        return ALL
    found = []
    each = zip(window.padding, window.kernel_size, window.kernel_dilation, window.strides)
    for axis, ((low, high), size, dilation, stride) in enumerate(each):
        span = (size - 1) * dilation + 1
        if output_shape[axis] != (x.shape[1 + axis] + low + high - span) // stride + 1:
            return None
        found.append(AxisWindow(low, span, stride))
    return found
