"""Transformations of images, and measures of how any function responds to them."""

from cnnjax.ops.photometric import brightness, contrast
from cnnjax.symmetry.alignment import (
    LinearMap,
    explained_variance,
    fit_linear_map,
    linear_equivalence,
)
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
    classes_over_shifts,
    one_pixel_flip_rate,
    shift_consistency,
    worst_case_accuracy,
)
from cnnjax.symmetry.lie_algebra import (
    Generators,
    invariant_generators,
    invariant_plane_motions,
)
from cnnjax.symmetry.lie_derivative import (
    estimated_layer_errors,
    layer_terms,
    lie_derivative,
    local_equivariance_error,
    rotation,
    scaling,
    shearing,
    translation,
    unchanged,
)
from cnnjax.symmetry.resampling import affine, rotate, scale, shear, translate
from cnnjax.symmetry.selectivity import (
    argmax_shares,
    effective_number,
    preferred_angle,
    vector_strength,
)
from cnnjax.symmetry.transformations import flip, fourier_shift, rotate90, shift
from cnnjax.symmetry.weights import (
    effective_spatial_rank,
    shared_part,
    sharing_defect,
    weight_signal_to_noise,
)

__all__ = [
    "EXACT",
    "INDEPENDENT",
    "EquivarianceErrors",
    "Generators",
    "Group",
    "LinearMap",
    "accuracy_curve",
    "affine",
    "argmax_shares",
    "assert_equivariant",
    "brightness",
    "circular_errors",
    "class_conditional_variance_ratio",
    "classes_over_shifts",
    "contrast",
    "cyclic",
    "dihedral",
    "effective_number",
    "effective_spatial_rank",
    "equivariance_deviation",
    "equivariance_error",
    "equivariance_errors",
    "equivariance_pair",
    "errors_over_shifts",
    "estimated_layer_errors",
    "explained_variance",
    "firing_invariance",
    "firing_scores",
    "fit_linear_map",
    "flip",
    "fourier_shift",
    "interior_errors",
    "invariant_generators",
    "invariant_plane_motions",
    "lattice_of_errors",
    "layer_terms",
    "lie_derivative",
    "linear_equivalence",
    "local_equivariance_error",
    "on_lattice",
    "one_pixel_flip_rate",
    "preferred_angle",
    "relative_error",
    "rotate",
    "rotate90",
    "rotation",
    "scale",
    "scaling",
    "shared_part",
    "sharing_defect",
    "shear",
    "shearing",
    "shift",
    "shift_consistency",
    "translate",
    "translate_output",
    "translation",
    "translation_lattice",
    "translations",
    "unchanged",
    "variance_ratio",
    "vector_strength",
    "weight_signal_to_noise",
    "worst_case_accuracy",
    "zero_fill_errors",
]
