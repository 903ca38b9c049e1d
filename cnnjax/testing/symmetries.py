"""Symmetries of a layer: each property a function from the layer to whether it has those that it
claims, and a message."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from cnnjax.symmetry import (
    EXACT,
    Group,
    cyclic,
    dihedral,
    errors_over_shifts,
    lattice_of_errors,
    on_lattice,
    relative_error,
)
from cnnjax.symmetry.groups import Action
from cnnjax.testing.subject import Subject, extent


def translations(subject: Subject) -> tuple[bool, str]:
    """The layer commutes with the translations that it claims, and with no others.

    Measured over all circular shifts, with strides 1 and 2, and with zero padding and none. A claim
    is a step on each axis; other shifts, as along a diagonal, are reported.
    """
    cases = [(axes, 1, subject.padding) for axes in subject.dimensions]
    cases += [(subject.usual, 2, subject.padding)]
    others = ((1, "SAME"), (2, "SAME"), (1, "VALID"))
    cases += [(subject.usual, *each) for each in others if (subject.usual, *each) not in cases]
    wrong, said = [], []
    for axes, strides, padding in cases:
        if subject.refusal(axes, strides, padding) is not None:
            continue
        layer, parameters, x = subject.case(2, axes, strides, padding)
        errors = errors_over_shifts(
            lambda x, parameters, layer=layer: layer.apply(parameters, x), x, parameters
        )
        space = x.shape[1:-1]
        claim = getattr(layer, "predicted_lattice", lambda space: None)(space)
        name = f"{padding} strides {strides} on {extent(space)}"
        if claim is None:
            said.append(f"{name}: measured {extent(lattice_of_errors(errors))}, no claim")
            continue
        claimed, exact = on_lattice(space, claim), errors <= EXACT
        if not exact[claimed].all():
            off = f"is off by {errors[claimed].max():.2g} at one of them"
            wrong.append(f"{name}: claims shifts by {extent(claim)}, but {off}")
        more = np.argwhere(exact & ~claimed)
        along = [step for step in more if np.count_nonzero(step) == 1]
        if along:
            example = tuple(map(int, along[0]))
            only = f"{name}: claims only shifts by {extent(claim)}"
            wrong.append(f"{only}, but has {example} as well")
        said.append(f"{name}: {extent(claim)}")
        if len(more) and not along:
            said[-1] += f", and {tuple(map(int, more[0]))}, which no steps along the axes make"
    return not wrong, "; ".join(wrong or said)


SIDE = 6
"""Sides of the images that are rotated."""

GROUPS = {
    8: "rotations by 90 degrees and reflections",
    4: "rotations by 90 degrees",
    1: "neither rotations nor reflections",
}
"""Groups that a layer may claim as its `predicted_group`, by their order."""


def rotations(subject: Subject) -> tuple[bool, str]:
    """The layer commutes with the rotations by 90 degrees and the reflections that it claims.

    A claim is `predicted_group`: 4, rotations by 90 degrees (p4), 8, reflections as well (p4m), or
    1, neither. The output moves as an image does; its channels stay, or move as those of regular
    features `[group, channels]`. Measured with strides 1; without a claim, reported.
    """
    if 2 not in subject.dimensions:
        return True, "takes no images"
    layer, parameters, x = subject.case(axes=2, space=(SIDE, SIDE))
    # All transformed images in one batch, so that there is one function to compile; and as arrays
    # of NumPy, which the actions leave so.
    image: Any = np.asarray(x)
    moved = np.concatenate([act(image) for act in dihedral(4).actions()])
    outputs: Any = np.asarray(jax.jit(layer.apply)(parameters, moved))
    outputs = outputs.reshape(8, len(x), *outputs.shape[1:3], -1)
    found = {
        group.order: min(
            max(
                float(relative_error(output, act(outputs[0]), outputs[0]))
                for output, act in zip(outputs, actions)
            )
            for actions in _output_actions(group, outputs.shape[-1])
        )
        for group in (dihedral(4), cyclic(4))
    }
    measured = next((order for order, error in found.items() if error <= EXACT), 1)
    claim = getattr(layer, "predicted_group", None)
    said = GROUPS[measured]
    if measured < 8:
        said += "; " + ", ".join(
            f"off by {error:.2g} for {GROUPS[order]}"
            for order, error in found.items()
            if order > measured
        )
    if claim is None:
        return True, f"{said}; no claim"
    if claim not in GROUPS:
        return False, f"predicted_group must be one of {', '.join(map(str, GROUPS))}, got {claim!r}"
    return claim == measured, f"{said}; claims {GROUPS[claim]}"


def _output_actions(group: Group, channels: int) -> Iterator[list[Action]]:
    """Actions on an output: as on an image; as on regular features, the group slowest, fastest."""
    yield group.actions()
    if channels % group.order == 0:
        for slowest in (True, False):
            yield [
                functools.partial(_act_on_channels, action, group.order, slowest)
                for action in group.regular_actions()
            ]


def _act_on_channels(action: Action, order: int, slowest: bool, z: jax.Array) -> jax.Array:
    """An action on regular features, whose two last axes are one in z."""
    pair = (order, -1) if slowest else (-1, order)
    features = z.reshape(*z.shape[:-1], *pair)
    if slowest:
        return action(features).reshape(z.shape)
    return action(features.swapaxes(-1, -2)).swapaxes(-1, -2).reshape(z.shape)
