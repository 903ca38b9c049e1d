"""Transformations of images, and measures of how any function responds to them.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "cnnjax.ops.photometric": ("brightness", "contrast"),
    "alignment": ("fit_linear_map", "linear_equivalence"),
    "decomposition": ("Decomposition", "lie_decomposition"),
    "detectors": ("Specialisation", "class_shares", "specialisation"),
    "equivariance": (
        "EXACT", "INDEPENDENT", "assert_equivariant", "equivariance_error", "equivariance_pair",
        "errors_over_shifts", "relative_error", "translate_output",
    ),
    "errors": ("border_errors", "equivariance_errors"),
    "groups": ("Group", "cyclic", "dihedral"),
    "invariance": (
        "accuracy_curve", "chance_corrected_consistency", "classes_over_crops",
        "classes_over_shifts", "one_pixel_flip_rate", "shift_consistency", "worst_case_accuracy",
    ),
    "lattices": (
        "errors_by_lattice", "lattice_of_errors", "layer_lattices", "on_lattice",
        "translation_lattice",
    ),
    "layerwise": ("layer_errors",),
    "lie_derivatives": (
        "MOTIONS", "Generators", "invariant_generators", "invariant_plane_motions",
        "estimated_layer_errors", "layer_terms", "lie_derivative", "local_equivariance_error",
        "rotation", "scaling", "shearing", "term_products", "translation", "unchanged",
    ),
    "sensitivity": ("equivariance_psnr", "noise_like", "normalised_invariance_error"),
    "transformations": (
        "affine", "flip", "fourier_shift", "rotate", "rotate90", "scale", "shear", "shift",
        "translate",
    ),
    "units": (
        "argmax_shares", "effective_number", "firing_invariance", "firing_scores", "variance_ratio",
        "vector_strength",
    ),
    "weights": (
        "effective_spatial_rank", "match_channels", "shared_part", "sharing_defect",
        "weight_mean_over_deviation", "weight_signal_to_noise",
    ),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
