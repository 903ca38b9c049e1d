"""Properties of a layer or network: cost, linear map, receptive field, derivatives, features."""

from cnnjax.inspect.architecture import Layer, cost_of, layers_of
from cnnjax.inspect.classification import classification_metrics
from cnnjax.inspect.cost import (
    arithmetic_intensity,
    bytes_moved,
    multiply_adds,
    parameter_count,
)
from cnnjax.inspect.features import (
    feature_maps,
    occlusion_map,
    preferred_inputs,
    saliency,
    smooth_saliency,
    top_patches,
)
from cnnjax.inspect.gabor_fit import GaborFit, fit_gabor, gabor_features
from cnnjax.inspect.gradient_check import GradientCheck, check_gradients
from cnnjax.inspect.linear_map import UNCONNECTED, affine_error, linear_map, sharing_pattern
from cnnjax.inspect.machine import MachineLimits, machine_limits
from cnnjax.inspect.receptive_field import ReceptiveField, receptive_field
from cnnjax.inspect.segmentation import intersection_over_union, segmentation_metrics
from cnnjax.inspect.timing import interleaved_seconds

__all__ = [
    "UNCONNECTED",
    "GaborFit",
    "GradientCheck",
    "Layer",
    "MachineLimits",
    "ReceptiveField",
    "affine_error",
    "arithmetic_intensity",
    "bytes_moved",
    "check_gradients",
    "classification_metrics",
    "cost_of",
    "feature_maps",
    "fit_gabor",
    "gabor_features",
    "interleaved_seconds",
    "intersection_over_union",
    "layers_of",
    "linear_map",
    "machine_limits",
    "multiply_adds",
    "occlusion_map",
    "parameter_count",
    "preferred_inputs",
    "receptive_field",
    "saliency",
    "segmentation_metrics",
    "sharing_pattern",
    "smooth_saliency",
    "top_patches",
]
