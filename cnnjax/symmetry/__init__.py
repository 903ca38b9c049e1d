"""Transformations of images, and measures of how any function answers to them."""

from cnnjax.symmetry.borders import (
    EquivarianceErrors,
    circular_errors,
    equivariance_errors,
    interior_errors,
    zero_fill_errors,
)
from cnnjax.symmetry.deviation import equivariance_deviation
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
from cnnjax.symmetry.firing import (
    class_conditional_variance_ratio,
    firing_invariance,
    firing_scores,
    variance_ratio,
)
from cnnjax.symmetry.groups import Group, cyclic, dihedral, translations
from cnnjax.symmetry.invariance import (
    accuracy_curve,
    area_under_curve,
    classes_over_shifts,
    one_pixel_flip_rate,
    shift_consistency,
    worst_case_accuracy,
)
from cnnjax.symmetry.photometric import brightness, contrast
from cnnjax.symmetry.resampling import affine, rotate, scale, shear, translate
from cnnjax.symmetry.selectivity import (
    effective_winners,
    preferred_angle,
    vector_strength,
    winning_shares,
)
from cnnjax.symmetry.transformations import flip, fourier_shift, rotate_quarter, shift

__all__ = [
    "EXACT",
    "INDEPENDENT",
    "EquivarianceErrors",
    "Group",
    "accuracy_curve",
    "affine",
    "area_under_curve",
    "assert_equivariant",
    "brightness",
    "circular_errors",
    "class_conditional_variance_ratio",
    "classes_over_shifts",
    "contrast",
    "cyclic",
    "dihedral",
    "effective_winners",
    "equivariance_deviation",
    "equivariance_error",
    "equivariance_errors",
    "equivariance_pair",
    "errors_over_shifts",
    "firing_invariance",
    "firing_scores",
    "flip",
    "fourier_shift",
    "interior_errors",
    "lattice_of_errors",
    "on_lattice",
    "one_pixel_flip_rate",
    "preferred_angle",
    "relative_error",
    "rotate",
    "rotate_quarter",
    "scale",
    "shear",
    "shift",
    "shift_consistency",
    "translate",
    "translate_output",
    "translation_lattice",
    "translations",
    "variance_ratio",
    "vector_strength",
    "winning_shares",
    "worst_case_accuracy",
    "zero_fill_errors",
]
