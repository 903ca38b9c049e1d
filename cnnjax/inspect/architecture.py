"""What a network is, layer by layer, without computing anything: traced, not run."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from cnnjax.inspect import Tap, multiply_adds, parameter_count, views_of_marks
from cnnjax.layers import ConvolutionLayer, ConvTranspose, FullyConnected
from cnnjax.ops.geometry import span

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

    Receptive fields by arithmetic, see `inspect.views_of_marks`: a window adds (span - 1) times the
    jump below it, a stride multiplies the jump, and where paths meet what either sees is seen,
    also through functions between the modules. Modules that hand their input on, such as dropout,
    are left out.

    Args:
      model: called with a batch of images; gives one array.
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
    windows = {mark: _window(module, args[0]) for mark, (module, _, args, *_) in calls.items()}
    views = views_of_marks(jaxpr, len(image_shape) - 1, windows)
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
        # What has no space any more has seen everything.
        seen = views.get(mark) if len(shape) > 1 else None
        known = () if seen is None or isinstance(seen, str) else seen
        layers.append(
            Layer(
                name="/".join(path),
                kind=type(module).__name__,
                input_shape=tuple(args[0].shape[1:]),
                output_shape=tuple(shape),
                parameters=0 if path in counted else parameter_count(own.get("params", {})),
                multiply_adds=cost,
                receptive_field=tuple(view.field for view in known) or None,
                jump=tuple(view.jump for view in known) or None,
            )
        )
        counted.add(path)
    return layers


def cost_of(model: nn.Module, image_shape: Sequence[int]) -> tuple[int, int]:
    """Parameters, and multiply-adds for one image, of the whole network.

    More than those of its layers together where a module that holds others has parameters of its
    own, or multiplies between their calls.
    """
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image)
    cost = multiply_adds(model.apply, variables, image)
    return parameter_count(variables.get("params", {})), cost


def _at(variables: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """The variables of the module at a path, in every collection that has any."""
    found = {}
    for collection, tree in variables.items():
        for name in path:
            tree = tree.get(name, {})
        if tree:
            found[collection] = tree
    return found


def _window(module: nn.Module, x: jax.Array) -> list[Tap] | str | None:
    """The window of a convolution of ours, however it is computed; None for other modules."""
    if not isinstance(module, ConvolutionLayer):
        return None
    window = module.window(x)
    if isinstance(module, (FullyConnected, ConvTranspose)) or max(window.input_dilation) > 1:
        return "all"
    spans = map(span, window.kernel_size, window.kernel_dilation)
    each = zip(window.padding, spans, window.strides, strict=True)
    return [Tap(low, reach, stride) for (low, _), reach, stride in each]
