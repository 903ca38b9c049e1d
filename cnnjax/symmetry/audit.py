"""Audit of a network: its equivariance to translations, rotations and flips, and what breaks each.

Every call of a Flax submodule is observed while the network is applied to an image and to all
transformed copies of it. The input and the output of a submodule are compared with their
transformed versions; so is the output of the submodule alone, applied to its own transformed input.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from flax.errors import FlaxError

from cnnjax.symmetry.equivariance import EXACT
from cnnjax.symmetry.observation import (
    LEAST,
    Call,
    Event,
    alone,
    in_evaluation,
    observe,
    shape_of,
)
from cnnjax.symmetry.responses import Response, responses, transformations

ATTRIBUTES = (
    "kernel_size",
    "window_shape",
    "filter_size",
    "strides",
    "padding",
    "kernel_dilation",
    "input_dilation",
    "tile",
    "rank",
    "group",
)
"""Arguments of a module that determine its symmetry."""

_NO_ARRAY = "{} returns no array of numbers with the batch of its images."


@dataclasses.dataclass(frozen=True)
class Stage:
    """One call of a submodule; stages are in the order in which the calls end, the network last."""

    path: str
    """Path of the submodule, as 'Block_0/Conv_1'; '' is the network itself."""
    module: str
    """Name of its class."""
    attributes: Mapping[str, Any]
    """Its arguments among ATTRIBUTES."""
    innermost: bool
    """Whether the submodule calls no other one."""
    input_shape: tuple[int, ...]
    """Shape of the first array it receives, with the batch; () where it receives none."""
    output_shape: tuple[int, ...]
    """Shape of the first array it returns."""
    response: Response | None
    """Response of its output to transformations of the network's image."""
    alone: Response | None
    """Response of its output to transformations of its own input; None where that has no space."""


@dataclasses.dataclass(frozen=True)
class Break:
    """First place in a network that is not equivariant to a transformation."""

    path: str
    """Path of the submodule, or of the one whose functions, outside its submodules, break it."""
    module: str
    """Name of its class."""
    attributes: Mapping[str, Any]
    """Its arguments among ATTRIBUTES; empty for functions."""
    functions: bool
    """Whether a function is the cause, before, between or after the calls of submodules."""
    between: tuple[str, str]
    """For functions: the submodules called before and after; '' is the start or end of the
    module."""
    error: float
    """Relative equivariance error there."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """Equivariance of a network, stage by stage, and where each transformation is lost."""

    stages: tuple[Stage, ...]
    """All calls of submodules, and of the network."""
    breaks: Mapping[str, Break | None]
    """For each transformation the first break, or None if the network is equivariant to it."""

    @property
    def network(self) -> Response:
        """Response of the network's output."""
        response = self.stages[-1].response
        assert response is not None  # else `audit` would have raised
        return response


def audit(
    model: linen.Module,
    variables: Mapping[str, Any],
    x: jax.typing.ArrayLike,
    *,
    tolerance: float = EXACT,
) -> Audit:
    """Measure the equivariance of every submodule of a network, on transformed copies of an image.

    Args:
      model: any Flax module from `[batch, height, width, channels]` to an array or a tree of
        arrays, in which the examples of a batch do not interact; called in evaluation mode, with
        `train=False` or `deterministic=True` where it takes them.
      variables: its parameters and statistics; see `generic`.
      x: `[batch, height, width, channels]`, noise; one or two images suffice.
      tolerance: largest relative error that counts as zero.

    Raises:
      ValueError: x of another rank, a network that returns no array with its batch, or numbers that
        are not finite.
    """
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"`x` must be [batch, height, width, channels], got shape {x.shape}.")
    with jax.default_matmul_precision("highest"):
        events = observe(model, variables, x, tolerance)
        if not events or events[-1].response is None:
            raise ValueError(_NO_ARRAY.format(type(model).__name__))
        stages = tuple(
            _stage(event.call, variables, len(x), tolerance) for event in events if not event.enters
        )
    names, kept = transformations(x.shape[1:3]), stages[-1].response
    breaks = {n: None if kept and kept.keeps(n) else _first_break(n, events) for n in names}
    return Audit(stages, breaks)


def response(
    model: linen.Module,
    variables: Mapping[str, Any],
    x: jax.typing.ArrayLike,
    *,
    tolerance: float = EXACT,
) -> Response:
    """Response of a network's output to transformations of its image; arguments as of `audit`."""
    x = np.asarray(x)
    acts = transformations(x.shape[1:3])

    def run(variables, x):
        return [jax.tree.leaves(model.apply(variables, x, **in_evaluation(model)))]

    compiled = functools.partial(jax.jit(run, compiler_options=LEAST), dict(variables))
    with jax.default_matmul_precision("highest"):
        (found,) = responses(
            compiled, x, lambda name: acts[name](x), x.shape[1:3], len(x), tolerance
        )
    if found is None:
        raise ValueError(_NO_ARRAY.format(type(model).__name__))
    return found


def over_sizes(
    model: linen.Module,
    variables: Mapping[str, Any],
    sizes: Sequence[int],
    channels: int,
    *,
    trained: bool,
    images: int = 2,
    seed: int = 0,
    tolerance: float = EXACT,
) -> dict[int, Response | str]:
    """Response of the output of a network, for square images of each size.

    Returns for each size the response, or the error message of a network that does not accept the
    image.

    Args:
      model, tolerance: as for `audit`.
      variables: used at each size that they fit.
      sizes: heights and widths.
      channels: channels of the images.
      trained: keep the variables at every size; else new ones are drawn where these do not fit,
        see `generic`.
      images, seed: number of images of noise, and the seed of these and of new variables.
    """
    found: dict[int, Response | str] = {}
    for size in sizes:
        x = noise((images, size, size, channels), seed)
        try:
            fit = _fitting(model, variables, x, trained, seed)
            found[size] = response(model, fit, x, tolerance=tolerance)
        except (ValueError, TypeError, FlaxError) as error:
            found[size] = " ".join(str(error).split())
    return found


def noise(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Gaussian noise: images without any symmetry of their own."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def initialise(model: linen.Module, x: jax.typing.ArrayLike, seed: int = 0) -> Mapping[str, Any]:
    """Variables of an untrained network for images like x."""
    run = jax.jit(lambda key, x: model.init(key, x, **in_evaluation(model)), compiler_options=LEAST)
    return run(jax.random.key(seed), jnp.asarray(x))


def generic(variables: Any, seed: int = 0) -> Any:
    """Variables of an untrained network, with noise added to those that are constant.

    Biases, scales and statistics that are initialised to zeros and ones can make a network more
    symmetric than its architecture is: uniform noise between 0 and 0.2 is added to them.
    """
    random = np.random.default_rng(seed)

    def moved(leaf):
        leaf = np.asarray(leaf)
        if not jnp.issubdtype(leaf.dtype, jnp.floating) or leaf.min() != leaf.max():
            return jnp.asarray(leaf)
        return jnp.asarray(leaf + random.uniform(0, 0.2, leaf.shape).astype(leaf.dtype))

    return jax.tree.map(moved, variables)


def _stage(call: Call, variables: Mapping[str, Any], batch: int, tolerance: float) -> Stage:
    return Stage(
        path=call.path,
        module=type(call.module).__name__,
        attributes=_attributes(call.module),
        innermost=call.innermost,
        input_shape=shape_of(call.inputs, batch),
        output_shape=call.output_shape,
        response=call.returned,
        # The network alone is the network.
        alone=alone(call, variables, batch, tolerance) if call.path else call.returned,
    )


def _first_break(name: str, events: list[Event]) -> Break | None:
    """First event at which a transformation is lost."""
    after = ""
    for event in events:
        if event.response is None or event.response.keeps(name):
            after = "" if event.enters else event.call.path
            continue
        by_functions = event.enters or not event.call.innermost
        place = event.call.parent if event.enters and event.call.parent else event.call
        return Break(
            path=place.path,
            module=type(place.module).__name__,
            attributes={} if by_functions else _attributes(place.module),
            functions=by_functions,
            between=(after, event.call.path if event.enters else "") if by_functions else ("", ""),
            error=event.response.errors[name],
        )
    return None


def _attributes(module: linen.Module) -> dict[str, Any]:
    found = {name: getattr(module, name) for name in ATTRIBUTES if hasattr(module, name)}
    undilated = {name for name in found if "dilation" in name and found[name] in (1, None)}
    return {name: value for name, value in found.items() if name not in undilated}


def _fitting(
    model: linen.Module, variables: Mapping[str, Any], x: np.ndarray, trained: bool, seed: int
) -> Mapping[str, Any]:
    """The variables, or new ones where they do not fit the image and are not trained."""
    try:
        jax.eval_shape(lambda x: model.apply(dict(variables), x, **in_evaluation(model)), x)
    except (ValueError, TypeError, FlaxError):
        if trained:
            raise
        return generic(initialise(model, x, seed), seed)
    return variables
