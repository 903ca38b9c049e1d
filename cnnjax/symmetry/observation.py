"""Inputs and outputs of every submodule of a Flax network, and each submodule alone."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen

from cnnjax.symmetry.groups import dihedral
from cnnjax.symmetry.responses import (
    ROTATIONS_AND_FLIPS,
    Act,
    Response,
    is_batched,
    responses,
    transformations,
)

LEAST = {"xla_backend_optimization_level": 0}
"""Compiler options for what runs a few times only: optimising takes longer than it saves."""


@dataclasses.dataclass(eq=False)
class Call:
    """A call of a submodule. `inputs` are the arrays among the leaves of its arguments."""

    path: str
    module: linen.Module
    variables_at: tuple[str, ...]
    parent: "Call | None"
    structure: Any
    """Tree structure of its arguments, a tuple and a dictionary, from `jax.tree.flatten`."""
    constants: list[Any]
    """Leaves of its arguments, with a marker in the place of arrays."""
    innermost: bool = True
    among_tokens: bool = False
    """Whether a module that contains it received `[batch, tokens, channels]`: it has no space
    then."""
    takes_tokens: bool = False
    """Whether `[batch, tokens, channels]` is its own input of highest rank."""
    inputs: list[Any] = dataclasses.field(default_factory=list)
    received: Response | None = None
    returned: Response | None = None
    output_shape: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Event:
    """Start or end of the call of a submodule."""

    enters: bool
    call: Call

    @property
    def response(self) -> Response | None:
        """Response of its inputs or outputs to transformations of the network's image."""
        return self.call.received if self.enters else self.call.returned


def observe(
    model: linen.Module, variables: Mapping[str, Any], x: np.ndarray, tolerance: float
) -> list[Event]:
    """Calls of all submodules of a network, starts and ends in order, with their responses."""
    events, compiled = observed(model)
    acts = transformations(x.shape[1:3])
    seen: list[list[Any]] = []

    def once(x):
        arrays = compiled(dict(variables), x)
        seen[:] = seen or arrays  # the first call is on the untransformed images
        return without_tokens(events, arrays)

    found = responses(once, x, lambda name: acts[name](x), x.shape[1:3], len(x), tolerance)
    for event, arrays, response in zip(events, seen, found, strict=True):
        if event.enters:
            event.call.inputs, event.call.received = arrays, response
        else:
            event.call.returned = response
            event.call.output_shape = shape_of(arrays, len(x))
    return events


def observed(
    model: linen.Module, *, ends: bool = False
) -> tuple[list[Event], Callable[[Mapping[str, Any], Any], list[list[Any]]]]:
    """The calls of all submodules of a network, and a function that computes their arrays.

    The function, of variables and images, is compiled once for all variables of equal shapes, and
    its first call fills the list of events; it returns the inputs or outputs of each.

    Args:
      model: the network, called in evaluation mode.
      ends: only the ends of calls, with their outputs.
    """
    events: list[Event] = []

    def run(variables, x):
        events.clear()
        arrays: list[list[Any]] = []
        with linen.intercept_methods(_interceptor(events, arrays)):
            model.apply(variables, x, **in_evaluation(model))
        if ends:
            arrays = [group for group, event in zip(arrays, events) if not event.enters]
            events[:] = [event for event in events if not event.enters]
        return arrays

    return events, jax.jit(run, compiler_options=LEAST)


def without_tokens(events: Sequence[Event], arrays: Sequence[list[Any]]) -> list[list[Any]]:
    """The arrays of events, those among tokens `[batch, tokens, channels]` without space."""
    return [
        [_flat(array) for array in group] if event.call.among_tokens else group
        for event, group in zip(events, arrays, strict=True)
    ]


def alone(
    call: Call, variables: Mapping[str, Any], batch: int, tolerance: float
) -> Response | None:
    """Response of a submodule to transformations of its own input; None if that has no space.

    Where the network below is equivariant to a rotation or flip, the response to the network's
    image is that of the submodule, whatever order the channels of its input are in; elsewhere
    regular features `[batch, height, width, group, channels]` are tried with and without a
    permutation of their group axis.
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
    for name in ROTATIONS_AND_FLIPS.keys() & acts.keys():
        if call.received is not None and call.returned and call.received.keeps(name):
            best[name] = call.returned
    errors = {name: each.errors[name] for name, each in best.items()}
    reordered = frozenset(name for name, each in best.items() if name in each.reordered)
    return Response(space, errors, reordered, tolerance)


def in_evaluation(model: linen.Module) -> dict[str, Any]:
    """Keyword arguments of a module, if it has any, that select evaluation mode."""
    modes = {"train": False, "training": False, "deterministic": True}
    takes = inspect.signature(type(model).__call__).parameters
    return {name: value for name, value in modes.items() if name in takes}


def shape_of(arrays: Sequence[Any], batch: int) -> tuple[int, ...]:
    """Shape of the first array that has the batch, or ()."""
    return next((array.shape for array in arrays if is_batched(array, batch)), ())


_ARRAY = object()
_ELEMENTS = dict(zip(ROTATIONS_AND_FLIPS, (1, 2, 4, 6), strict=True))
"""The elements of `dihedral(4)` that rotate and flip an image so."""


def _interceptor(events: list[Event], arrays: list[list[Any]]) -> Callable:
    """Interceptor that appends to `events`, and to `arrays` the arrays of their inputs or
    outputs."""
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
            takes_tokens=max((array.ndim for array in _arrays(leaves)), default=0) == 3,
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


def _flat(array: jax.Array) -> jax.Array:
    return array.reshape(len(array), -1) if array.ndim > 1 else array


def _arrays(leaves: Sequence[Any]) -> list[jax.Array]:
    return [leaf for leaf in leaves if isinstance(leaf, jax.Array)]


def _variables_of(call: Call, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of a submodule."""
    mine = {}
    for collection, tree in variables.items():
        for name in call.variables_at:
            tree = tree.get(name, {})
        mine[collection] = tree
    return mine


def _has_space(array: Any, batch: int) -> bool:
    return is_batched(array, batch) and array.ndim >= 4


def _regular(name: str, act: Act) -> Act:
    """Rotation or flip of regular features: (h f)[p, g] = f[h^-1 p, h^-1 g]."""
    group, element = dihedral(4), _ELEMENTS.get(name, 0)

    def moved(z: np.ndarray) -> np.ndarray:
        order = z.shape[3]
        if element >= order:  # a reflection is no element of a group of 4
            return act(z)
        return act(z)[:, :, :, group.table[group.inverses[element]][:order]]

    return moved
