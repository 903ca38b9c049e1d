"""The properties of a convolution, by name."""

from collections.abc import Callable

from cnnjax.testing.conventions import bad_input, initial_variance, shapes
from cnnjax.testing.numerics import (
    compilation,
    determinism,
    dtypes,
    examples,
    gradients,
    linearity,
    transforms,
)
from cnnjax.testing.subject import Subject
from cnnjax.testing.symmetries import rotations, translations

PROPERTIES: dict[str, Callable[[Subject], tuple[bool, str]]] = {
    "shapes": shapes,
    "dtypes": dtypes,
    "transforms": transforms,
    "examples": examples,
    "gradients": gradients,
    "linear map": linearity,
    "symmetry": translations,
    "rotations": rotations,
    "compilation": compilation,
    "determinism": determinism,
    "initial variance": initial_variance,
    "bad input": bad_input,
}
"""Functions from a layer to whether it has the property, and what was measured."""

ADVICE = frozenset({"initial variance", "bad input"})
"""Properties that help whoever uses a layer, and that a correct one may lack: a gate halves the
variance by nature. A layer without them passes."""
