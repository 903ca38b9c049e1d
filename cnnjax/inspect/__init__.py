"""Properties of a layer or network: cost, linear map, receptive field, derivatives, features.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "architecture": ("Layer", "cost_of", "layers_of"),
    "cost": (
        "MachineLimits", "arithmetic_intensity", "bytes_moved", "interleaved_seconds",
        "machine_limits", "multiply_adds", "parameter_count",
    ),
    "features": (
        "feature_maps", "occlusion_map", "preferred_inputs", "saliency", "smooth_saliency",
        "top_patches",
    ),
    "gabor_fit": ("GaborFit", "fit_gabor", "gabor_features"),
    "gradient_check": ("GradientCheck", "check_gradients"),
    "learned": (
        "Evidence", "FirstFilters", "Unit", "convolutions_spread", "evidence", "first_filters",
        "preferred_classes", "varied_units",
    ),
    "linear_maps": ("UNCONNECTED", "affine_error", "linear_map", "sharing_pattern", "sharing_rule"),
    "receptive_fields": ("ReceptiveField", "receptive_field"),
    "predictions": (
        "classification_metrics", "intersection_over_union", "most_probable",
        "segmentation_metrics",
    ),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
