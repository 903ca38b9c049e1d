"""What goes in and out of every submodule of a Flax network, and each of them by itself."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen

from cnnjax.symmetry.responses import (
    TURNS,
    Act,
    Response,
    is_batched,
    responses,
    transformations,
)

LEAST = {"xla_backend_optimization_level": 0}
"""Of what runs a few times only: compiling it well would take longer than running it badly."""


@dataclasses.dataclass(eq=False)
class Call:
    """A call of a submodule. `inputs` and `outputs` are the leaves of its arguments and result."""

    path: str
    module: linen.Module
    variables_at: tuple[str, ...]
    parent: "Call | None"
    structure: Any
    """Of its arguments, a tuple and a dictionary, as `jax.tree.flatten` gives it."""
    constants: list[Any]
    """The leaves of its arguments that are no arrays, None in place of the others."""
    innermost: bool = True
    among_tokens: bool = False
    """Whether a module around it received `[batch, tokens, channels]`: it sees no space then."""
    takes_tokens: bool = False
    """Whether it received `[batch, tokens, channels]` itself."""
    inputs: list[Any] = dataclasses.field(default_factory=list)
    received: Response | None = None
    returned: Response | None = None
    output_shape: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Event:
    """Something enters or leaves a submodule."""

    enters: bool
    call: Call

    @property
    def response(self) -> Response | None:
        """Of what enters or leaves, to transformations of the network's image."""
        return self.call.received if self.enters else self.call.returned


def observe(
    model: linen.Module, variables: Mapping[str, Any], x: np.ndarray, tolerance: float
) -> list[Event]:
    """All that enters and leaves the submodules of a network, in order, with its responses."""
    events: list[Event] = []

    def run(variables, x):
        events.clear()
        arrays: list[list[Any]] = []
        with linen.intercept_methods(_interceptor(events, arrays)):
            model.apply(variables, x, **in_evaluation(model))
        return arrays

    compiled = jax.jit(run, compiler_options=LEAST)
    acts = transformations(x.shape[1:3])
    seen: list[list[Any]] = []

    def once(x):
        arrays = compiled(dict(variables), x)
        seen[:] = seen or arrays  # those of the images as they are come first
        return [
            [_flat(array) for array in group] if event.call.among_tokens else group
            for event, group in zip(events, arrays, strict=True)
        ]

    found = responses(once, x, lambda name: acts[name](x), x.shape[1:3], len(x), tolerance)
    for event, arrays, response in zip(events, seen, found, strict=True):
        if event.enters:
            event.call.inputs, event.call.received = arrays, response
        else:
            event.call.returned = response
            event.call.output_shape = shape_of(arrays, len(x))
    return events


def alone(
    call: Call, variables: Mapping[str, Any], batch: int, tolerance: float
) -> Response | None:
    """The response of a submodule to transformations of its own input; None if that has no space.

    Where the network below keeps a turn or flip, its input is known as it comes, with its channels
    in whatever order; elsewhere regular features `[batch, height, width, group, channels]` are
    tried both as they are and with their group turned.
    """
    spaces = [array.shape[1:3] for array in call.inputs if _has_space(array, batch)]
    if not spaces or call.among_tokens:
        return None
    space = spaces[0]
    acts = transformations(space)
    mine = _variables_of(call, variables)

    def run(variables, arrays):
        given = iter(arrays)
        leaves = [next(given) if each is _ARRAY else each for each in call.constants]
        args, kwargs = jax.tree.unflatten(call.structure, leaves)
        return [jax.tree.leaves(call.module.apply(variables, *args, **kwargs))]

    # The variables are an argument: as constants they would be compiled, and slowly.
    compiled = functools.partial(jax.jit(run, compiler_options=LEAST), mine)

    def moved(name: str, regular: bool) -> list[Any]:
        def one(array):
            if not _has_space(array, batch) or array.shape[1:3] != space:
                return array
            grouped = regular and array.ndim == 5 and array.shape[3] in (4, 8)
            return (_regular(name, acts[name]) if grouped else acts[name])(np.asarray(array))

        return [one(array) for array in call.inputs]

    has_group = any(_has_space(array, batch) and array.ndim == 5 for array in call.inputs)
    tries = []
    for regular in (False, True)[: 1 + has_group]:
        move = functools.partial(moved, regular=regular)
        tries += responses(compiled, call.inputs, move, space, batch, tolerance)
    if tries[0] is None:
        return None
    best = {name: min(tries, key=lambda each: each.errors[name]) for name in acts}
    for name in TURNS.keys() & acts.keys():
        if call.received is not None and call.returned and call.received.keeps(name):
            best[name] = call.returned
    errors = {name: each.errors[name] for name, each in best.items()}
    reordered = frozenset(name for name, each in best.items() if name in each.reordered)
    return Response(space, errors, reordered, tolerance)


def in_evaluation(model: linen.Module) -> dict[str, Any]:
    """The arguments that tell a module, if it takes any, that it is not being trained."""
    said = {"train": False, "training": False, "deterministic": True}
    takes = inspect.signature(type(model).__call__).parameters
    return {name: value for name, value in said.items() if name in takes}


def shape_of(arrays: Sequence[Any], batch: int) -> tuple[int, ...]:
    """Shape of the first array that has the batch, or ()."""
    return next((array.shape for array in arrays if is_batched(array, batch)), ())


_ARRAY = object()


def _interceptor(events: list[Event], arrays: list[list[Any]]) -> Callable:
    """Writes events down, and into `arrays` the arrays that enter or leave."""
    running: list[Call] = []

    def intercept(next_function, args, kwargs, context):
        if context.method_name != "__call__":
            return next_function(*args, **kwargs)
        module = context.module
        parent = running[-1] if running else None
        if parent is not None:
            parent.innermost = False
        leaves, structure = jax.tree.flatten((args, kwargs))
        call = Call(
            path="/".join(module.path),
            module=module.unbind()[0],
            variables_at=tuple(module.scope.path),
            parent=parent,
            structure=structure,
            constants=[_ARRAY if isinstance(leaf, jax.Array) else leaf for leaf in leaves],
            among_tokens=parent is not None and (parent.among_tokens or parent.takes_tokens),
            takes_tokens=_takes_tokens(leaves),
        )
        events.append(Event(True, call))
        arrays.append(_arrays(leaves))
        running.append(call)
        outputs = next_function(*args, **kwargs)
        running.pop()
        events.append(Event(False, call))
        arrays.append(_arrays(jax.tree.leaves(outputs)))
        return outputs

    return intercept


def _takes_tokens(leaves: Sequence[Any]) -> bool:
    """Whether arrays come in, the largest of which are `[batch, tokens, channels]`."""
    ranks = [array.ndim for array in _arrays(leaves)]
    return bool(ranks) and max(ranks) == 3


def _flat(array: jax.Array) -> jax.Array:
    return array.reshape(len(array), -1) if array.ndim > 1 else array


def _arrays(leaves: Sequence[Any]) -> list[jax.Array]:
    return [leaf for leaf in leaves if isinstance(leaf, jax.Array)]


def _variables_of(call: Call, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the network's variables that a submodule reads."""
    mine = {}
    for collection, tree in variables.items():
        for name in call.variables_at:
            tree = tree.get(name, {})
        mine[collection] = tree
    return mine


def _has_space(array: Any, batch: int) -> bool:
    return is_batched(array, batch) and array.ndim >= 4


def _regular(name: str, act: Act) -> Act:
    """A turn or flip of regular features; element k + 4 m makes k quarter turns, of a mirrored m.

    (h f)[p, g] = f[h^-1 p, h^-1 g]
    """
    turns, mirrored = {
        "quarter turn": (1, 0),
        "half turn": (2, 0),
        "left-right flip": (0, 1),
        "up-down flip": (2, 1),
    }.get(name, (0, 0))

    def turned(z: np.ndarray) -> np.ndarray:
        if mirrored and z.shape[3] == 4:
            return act(z)
        sign = -1 if mirrored else 1  # h^-1 g, of h = r^turns s^mirrored
        order = [
            (sign * (element - turns)) % 4 + 4 * ((element // 4 + mirrored) % 2)
            for element in range(z.shape[3])
        ]
        return act(z)[:, :, :, order]

    return turned
