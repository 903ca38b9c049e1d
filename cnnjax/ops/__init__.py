"""Operators: arrays in, arrays out. Channels last, 1 to 3 spatial axes, any leading axes.

Names are loaded when first used.
"""

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # read below, too
    from cnnjax.ops.affine_algebra import (
        GENERATORS as GENERATORS,
        affine_exponential as affine_exponential,
    )
    from cnnjax.ops.algorithm import (
        algorithm_costs as algorithm_costs,
        best_algorithm as best_algorithm,
        crossover as crossover,
    )
    from cnnjax.ops.alias_free import (
        ideal_resample as ideal_resample,
        polynomial_activation as polynomial_activation,
    )
    from cnnjax.ops.banked import (
        low_rank_local_conv as low_rank_local_conv,
        tiled_conv as tiled_conv,
    )
    from cnnjax.ops.blur_pooling import (
        binomial_filter as binomial_filter,
        blur_pool as blur_pool,
        max_blur_pool as max_blur_pool,
    )
    from cnnjax.ops.convolution import conv as conv, conv_transpose as conv_transpose
    from cnnjax.ops.filters import (
        box_blur as box_blur,
        box_kernel as box_kernel,
        filter_channels as filter_channels,
        gabor_bank as gabor_bank,
        gabor_kernel as gabor_kernel,
        gaussian_blur as gaussian_blur,
        gaussian_kernel as gaussian_kernel,
        is_separable as is_separable,
        laplacian as laplacian,
        laplacian_kernel as laplacian_kernel,
        separable_conv as separable_conv,
        separable_factors as separable_factors,
        sobel as sobel,
        sobel_kernel as sobel_kernel,
        sobel_magnitude as sobel_magnitude,
    )
    from cnnjax.ops.fourier import fft_conv as fft_conv
    from cnnjax.ops.geometry import (
        composed_step as composed_step,
        input_indices as input_indices,
        multiply_adds as multiply_adds,
        output_size as output_size,
        padding_pair as padding_pair,
        predicted_step as predicted_step,
        receptive_field as receptive_field,
        weight_count as weight_count,
    )
    from cnnjax.ops.gradients import (
        conv_input_gradient as conv_input_gradient,
        conv_kernel_gradient as conv_kernel_gradient,
    )
    from cnnjax.ops.group_convolution import (
        group_conv as group_conv,
        group_kernels as group_kernels,
        group_pool as group_pool,
        lifting_conv as lifting_conv,
        lifting_kernels as lifting_kernels,
        regular_conv as regular_conv,
        turns_exactly as turns_exactly,
    )
    from cnnjax.ops.interpolation import (
        affine_sources as affine_sources,
        interpolate as interpolate,
    )
    from cnnjax.ops.norm import local_response_normalization as local_response_normalization
    from cnnjax.ops.polyphase import (
        adaptive_polyphase as adaptive_polyphase,
        mixed_polyphase as mixed_polyphase,
        polyphase_component as polyphase_component,
        polyphase_components as polyphase_components,
    )
    from cnnjax.ops.pool import (
        average_pool as average_pool,
        cross_channel_max_pool as cross_channel_max_pool,
        global_average_pool as global_average_pool,
        global_max_pool as global_max_pool,
        max_pool as max_pool,
        max_pool_with_argmax as max_pool_with_argmax,
        pool_or_stride as pool_or_stride,
        stochastic_pool as stochastic_pool,
    )
    from cnnjax.ops.unshared import local_conv as local_conv
else:
    # As `lazy_exports` of cnnjax.run does, which the operators do not import.
    _DEFINED_IN = {
        alias.name: str(statement.module)
        for block in ast.parse(Path(__file__).read_text("utf-8")).body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    __all__ = sorted(_DEFINED_IN)

    def __getattr__(name: str) -> Any:
        if name not in _DEFINED_IN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_DEFINED_IN[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_DEFINED_IN})
