"""Figures that several studies draw: functions from numbers to a matplotlib Figure."""

from cnnjax.report.figures.bars import bars
from cnnjax.report.figures.confusion import confusion
from cnnjax.report.figures.curves import learning_curves
from cnnjax.report.figures.dots import dots
from cnnjax.report.figures.images import image_grid
from cnnjax.report.figures.maps import shift_maps
from cnnjax.report.figures.polar import polar
from cnnjax.report.figures.shifts import ShiftPanel, error_against_shift
from cnnjax.report.figures.style import color_of, png, styled

__all__ = [
    "ShiftPanel",
    "bars",
    "color_of",
    "confusion",
    "dots",
    "error_against_shift",
    "image_grid",
    "learning_curves",
    "png",
    "polar",
    "shift_maps",
    "styled",
]
