"""Properties of a layer or network: cost, linear map, receptive field, derivatives, features.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "architecture": ("Layer", "cost_of", "layers_of"),
    "classification": ("classification_metrics", "most_probable"),
    "cost": ("arithmetic_intensity", "bytes_moved", "multiply_adds", "parameter_count"),
    "features": (
        "feature_maps",
        "occlusion_map",
        "preferred_inputs",
        "saliency",
        "smooth_saliency",
        "top_patches",
    ),
    "gabor_fit": ("GaborFit", "fit_gabor", "gabor_features"),
    "gradient_check": ("GradientCheck", "check_gradients"),
    "linear_maps": (
        "UNCONNECTED",
        "affine_error",
        "linear_map",
        "sharing_pattern",
        "sharing_rule",
    ),
    "machine": ("MachineLimits", "machine_limits"),
    "receptive_fields": ("ReceptiveField", "receptive_field"),
    "segmentation": ("intersection_over_union", "segmentation_metrics"),
    "timing": ("interleaved_seconds",),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
