"""Operators: arrays in, arrays out. Channels last, 1 to 3 spatial axes, any leading axes."""

from cnnjax.ops.banked import local_conv, low_rank_local_conv, tiled_conv
from cnnjax.ops.conv import conv, conv_transpose
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

__all__ = [
    "composed_step",
    "conv",
    "conv_transpose",
    "input_indices",
    "local_conv",
    "low_rank_local_conv",
    "multiply_adds",
    "output_size",
    "padding_pair",
    "predicted_step",
    "receptive_field",
    "tiled_conv",
    "weight_count",
]
