"""The figures of a study, as functions from arrays to a matplotlib Figure; `png` saves one."""

from cnnjax.report.comparisons import Accuracy, Price, accuracy, price
from cnnjax.report.shifts import EXACT, INDEPENDENT, ShiftPanel, error_against_shift, shift_maps
from cnnjax.report.style import png

__all__ = [
    "EXACT",
    "INDEPENDENT",
    "Accuracy",
    "Price",
    "ShiftPanel",
    "accuracy",
    "error_against_shift",
    "png",
    "price",
    "shift_maps",
]
