"""Transformations of images, and measures of how any function responds to them.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "cnnjax.ops.photometric": ("brightness", "contrast"),
    "alignment": ("LinearMap", "explained_variance", "fit_linear_map", "linear_equivalence"),
    "borders": (
        "EquivarianceErrors",
        "circular_errors",
        "equivariance_errors",
        "interior_errors",
        "zero_fill_errors",
    ),
    "decomposition": ("Decomposition", "lie_decomposition"),
    "deviation": ("equivariance_deviation",),
    "equivariance": (
        "EXACT",
        "INDEPENDENT",
        "assert_equivariant",
        "equivariance_error",
        "equivariance_pair",
        "errors_over_shifts",
        "lattice_of_errors",
        "on_lattice",
        "relative_error",
        "translate_output",
        "translation_lattice",
    ),
    "firing": (
        "class_conditional_variance_ratio",
        "firing_invariance",
        "firing_scores",
        "variance_ratio",
    ),
    "groups": ("Group", "cyclic", "dihedral", "translations"),
    "invariance": (
        "accuracy_curve",
        "classes_over_shifts",
        "one_pixel_flip_rate",
        "shift_consistency",
        "worst_case_accuracy",
    ),
    "lattices": ("errors_by_lattice", "layer_lattices"),
    "lie_algebra": ("Generators", "invariant_generators", "invariant_plane_motions"),
    "lie_derivatives": (
        "MOTIONS",
        "estimated_layer_errors",
        "layer_terms",
        "lie_derivative",
        "local_equivariance_error",
        "rotation",
        "scaling",
        "shearing",
        "translation",
        "unchanged",
    ),
    "resampling": ("affine", "rotate", "scale", "shear", "translate"),
    "selectivity": (
        "Specialisation",
        "argmax_shares",
        "class_shares",
        "effective_number",
        "preferred_angle",
        "specialisation",
        "vector_strength",
    ),
    "transformations": ("flip", "fourier_shift", "rotate90", "shift"),
    "weights": (
        "effective_spatial_rank",
        "shared_part",
        "sharing_defect",
        "weight_signal_to_noise",
    ),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
