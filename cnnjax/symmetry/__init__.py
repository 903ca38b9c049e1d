"""Transformations of images, and measures of how any function answers to them."""

from cnnjax.symmetry.equivariance import (
    EXACT,
    INDEPENDENT,
    assert_equivariant,
    equivariance_error,
    equivariance_pair,
    errors_over_shifts,
    lattice_of_errors,
    on_lattice,
    relative_error,
    translate_output,
    translation_lattice,
)
from cnnjax.symmetry.invariance import shift_consistency
from cnnjax.symmetry.transformations import (
    affine,
    flip,
    fourier_shift,
    rotate,
    rotate_quarter,
    scale,
    shift,
)

__all__ = [
    "EXACT",
    "INDEPENDENT",
    "affine",
    "assert_equivariant",
    "equivariance_error",
    "equivariance_pair",
    "errors_over_shifts",
    "flip",
    "fourier_shift",
    "lattice_of_errors",
    "on_lattice",
    "relative_error",
    "rotate",
    "rotate_quarter",
    "scale",
    "shift",
    "shift_consistency",
    "translate_output",
    "translation_lattice",
]
