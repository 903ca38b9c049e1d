"""Equivariance error of the output of each layer of a network, for networks that are training."""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen

from cnnjax.symmetry.equivariance import EXACT
from cnnjax.symmetry.observation import observed, without_tokens
from cnnjax.symmetry.responses import Act, responses, shift_name, transformations

_ROTATIONS_AND_FLIPS = {
    "rotate90": "90-degree rotation",
    "rotate180": "180-degree rotation",
    "flip": "left-right flip",
}
Errors = dict[str, dict[str, float]]
"""Errors by transformation and layer."""


def layer_errors(
    model: linen.Module, names: Sequence[str], space: Sequence[int]
) -> Callable[[Mapping[str, Any], Any], Errors]:
    """Function from variables and images to the equivariance error of the output of each layer.

        error = ||f(g x) - g f(x)|| / ||g f(x)||,    norms over all images

    f is the network from its images up to the layer's output, in evaluation mode, and g acts on
    that as in an audit, see `responses`: on positions, in shifts by the same fraction of the size;
    a rotation or flip may permute channels if that makes the error zero. Outputs without space
    (logits) should not change. sqrt(2) are unrelated outputs, NaN those that are not finite.

    The function is compiled once for all variables and images of equal shapes. It returns for each
    transformation the error of each layer by its path, '' the network; of a layer that is called
    again, the later calls are 'path#2' and so on.

    Args:
      model: any Flax module from `[batch, height, width, channels]`, see `audit`.
      names: transformations: 'shiftN', the larger error of circular shifts by N pixels down and to
        the right; 'rotate90', 'rotate180', 'flip' (left-right).
      space: height and width of the images.

    Raises:
      ValueError: another name, a shift that is not shorter than the image, or 'rotate90' of images
        that are not square.
    """
    groups = {name: _acts(name, tuple(space)) for name in names}
    acts = {name: act for group in groups.values() for name, act in group.items()}
    events, compiled = observed(model, ends=True)

    def measure(variables: Mapping[str, Any], x: Any) -> Errors:
        x = np.asarray(x)

        def run(images: np.ndarray) -> list[list[Any]]:
            return without_tokens(events, compiled(dict(variables), images))

        def moved(name: str) -> np.ndarray:
            return acts[name](x)

        with jax.default_matmul_precision("highest"):
            found = responses(run, x, moved, space, len(x), EXACT, acts, finite=False)
        paths = _distinct([event.call.path for event in events])
        return {
            name: {
                path: float(np.max([response.errors[each] for each in group]))
                for path, response in zip(paths, found, strict=True)
                if response is not None
            }
            for name, group in groups.items()
        }

    return measure


def _acts(name: str, space: tuple[int, ...]) -> dict[str, Act]:
    """The transformations that a name stands for, by their names in an audit."""
    if name in _ROTATIONS_AND_FLIPS:
        known = transformations(space, ())
        if _ROTATIONS_AND_FLIPS[name] not in known:
            raise ValueError(f"images must be square for {name!r}, got {space[0]} x {space[1]}.")
        return {_ROTATIONS_AND_FLIPS[name]: known[_ROTATIONS_AND_FLIPS[name]]}
    kind, _, digits = name.partition("shift")
    if kind or not digits.isdecimal() or int(digits) < 1:
        raise ValueError(
            f"a transformation must be 'shiftN' or one of {', '.join(_ROTATIONS_AND_FLIPS)}, got "
            f"{name!r}."
        )
    step = int(digits)
    if step >= min(space):
        raise ValueError(
            f"a shift must be shorter than the image of {space[0]} x {space[1]}, got {name!r}."
        )
    known = transformations(space, (step,))
    return {shift_name(axis, step): known[shift_name(axis, step)] for axis in (0, 1)}


def _distinct(paths: Sequence[str]) -> list[str]:
    """The paths, of which a repeated one is numbered."""
    seen: collections.Counter[str] = collections.Counter()
    numbered = []
    for path in paths:
        seen[path] += 1
        numbered.append(path if seen[path] == 1 else f"{path}#{seen[path]}")
    return numbered
