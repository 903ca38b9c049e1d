"""What a layer or a network is: its cost, its linear map, its receptive field, its derivatives."""

from cnnjax.inspect.cost import (
    arithmetic_intensity,
    bytes_moved,
    multiply_adds,
    parameter_count,
)
from cnnjax.inspect.gradient_check import GradientCheck, check_gradients
from cnnjax.inspect.linear_map import UNCONNECTED, affine_error, linear_map, sharing_pattern
from cnnjax.inspect.machine import MachineLimits, machine_limits
from cnnjax.inspect.receptive_field import ReceptiveField, receptive_field
from cnnjax.inspect.timing import interleaved_seconds

__all__ = [
    "UNCONNECTED",
    "GradientCheck",
    "MachineLimits",
    "ReceptiveField",
    "affine_error",
    "arithmetic_intensity",
    "bytes_moved",
    "check_gradients",
    "interleaved_seconds",
    "linear_map",
    "machine_limits",
    "multiply_adds",
    "parameter_count",
    "receptive_field",
    "sharing_pattern",
]
