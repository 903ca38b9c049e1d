"""Operators: arrays in, arrays out. Channels last, 1 to 3 spatial axes, any leading axes.

Names are loaded when first used.
"""

import importlib
from typing import Any

_SUBMODULES = {
    "algorithm": ("algorithm_costs", "best_algorithm", "crossover"),
    "alias_free": ("ideal_resample", "polynomial_activation"),
    "banked": ("local_conv", "low_rank_local_conv", "tiled_conv"),
    "blur_pooling": ("binomial_filter", "blur_pool", "max_blur_pool"),
    "convolution": ("conv", "conv_transpose"),
    "filters": (
        "box_blur", "box_kernel", "filter_channels", "gabor_bank", "gabor_kernel", "gaussian_blur",
        "gaussian_kernel", "is_separable", "laplacian", "laplacian_kernel", "separable_conv",
        "separable_factors", "sobel", "sobel_kernel", "sobel_magnitude",
    ),
    "fourier": ("fft_conv",),
    "geometry": (
        "composed_step", "input_indices", "multiply_adds", "output_size", "padding_pair",
        "predicted_step", "receptive_field", "weight_count",
    ),
    "gradients": ("conv_input_gradient", "conv_kernel_gradient"),
    "group_convolution": ("group_conv", "group_pool", "lifting_conv", "turns_exactly"),
    "interpolation": ("affine_sources", "interpolate"),
    "norm": ("local_response_normalization",),
    "polyphase": (
        "adaptive_polyphase", "mixed_polyphase", "polyphase_component", "polyphase_components",
    ),
    "pool": (
        "average_pool", "cross_channel_max_pool", "global_average_pool", "global_max_pool",
        "max_pool", "max_pool_with_argmax", "pool_or_stride", "stochastic_pool",
    ),
}  # fmt: skip
_DEFINED_IN = {name: module for module, names in _SUBMODULES.items() for name in names}

__all__ = sorted(_DEFINED_IN)


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_DEFINED_IN[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_DEFINED_IN})
