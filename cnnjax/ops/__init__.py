"""Operators: arrays in, arrays out. Channels last, 1 to 3 spatial axes, any leading axes."""

from cnnjax.ops.algorithm import algorithm_costs, best_algorithm, crossover
from cnnjax.ops.alias_free import ideal_resample, polynomial_activation
from cnnjax.ops.banked import local_conv, low_rank_local_conv, tiled_conv
from cnnjax.ops.blur_pool import binomial_filter, blur_pool, max_blur_pool
from cnnjax.ops.conv import conv, conv_transpose
from cnnjax.ops.filters import (
    box_blur,
    box_kernel,
    filter_channels,
    gabor_bank,
    gabor_kernel,
    gaussian_blur,
    gaussian_kernel,
    laplacian,
    laplacian_kernel,
    sobel,
    sobel_kernel,
    sobel_magnitude,
)
from cnnjax.ops.fourier import fft_conv
from cnnjax.ops.geometry import (
    composed_step,
    input_indices,
    multiply_adds,
    output_size,
    padding_pair,
    predicted_step,
    receptive_field,
    weight_count,
)
from cnnjax.ops.gradients import conv_input_gradient, conv_kernel_gradient
from cnnjax.ops.group_conv import group_conv, group_pool, lifting_conv, turns_exactly
from cnnjax.ops.interpolate import affine_sources, interpolate
from cnnjax.ops.norm import local_response_normalization
from cnnjax.ops.polyphase import (
    adaptive_polyphase,
    mixed_polyphase,
    polyphase_component,
    polyphase_components,
)
from cnnjax.ops.pool import (
    average_pool,
    cross_channel_max_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
    max_pool_with_argmax,
    pool_or_stride,
    stochastic_pool,
)
from cnnjax.ops.separable import is_separable, separable_conv, separable_factors

__all__ = [
    "adaptive_polyphase",
    "affine_sources",
    "algorithm_costs",
    "average_pool",
    "best_algorithm",
    "binomial_filter",
    "blur_pool",
    "box_blur",
    "box_kernel",
    "composed_step",
    "conv",
    "conv_input_gradient",
    "conv_kernel_gradient",
    "conv_transpose",
    "cross_channel_max_pool",
    "crossover",
    "fft_conv",
    "filter_channels",
    "gabor_bank",
    "gabor_kernel",
    "gaussian_blur",
    "gaussian_kernel",
    "global_average_pool",
    "global_max_pool",
    "group_conv",
    "group_pool",
    "ideal_resample",
    "input_indices",
    "interpolate",
    "is_separable",
    "laplacian",
    "laplacian_kernel",
    "lifting_conv",
    "local_conv",
    "local_response_normalization",
    "low_rank_local_conv",
    "max_blur_pool",
    "max_pool",
    "max_pool_with_argmax",
    "mixed_polyphase",
    "multiply_adds",
    "output_size",
    "padding_pair",
    "polynomial_activation",
    "polyphase_component",
    "polyphase_components",
    "pool_or_stride",
    "predicted_step",
    "receptive_field",
    "separable_conv",
    "separable_factors",
    "sobel",
    "sobel_kernel",
    "sobel_magnitude",
    "stochastic_pool",
    "tiled_conv",
    "turns_exactly",
    "weight_count",
]
