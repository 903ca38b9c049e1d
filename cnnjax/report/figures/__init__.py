"""Figures that several studies draw: functions from numbers to a matplotlib Figure.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "audits": ("audit_layers", "audit_sizes", "rotations_and_flips"),
    "bar_charts": ("bars",),
    "confusion_matrices": ("confusion",),
    "curves": ("learning_curves",),
    "dot_plots": ("dots",),
    "features": ("evidence_maps", "unit_patches"),
    "images": ("image_grid", "image_rows"),
    "lines": ("line_panels",),
    "maps": ("shift_maps",),
    "polar_plots": ("polar",),
    "shifts": ("ShiftPanel", "error_against_shift"),
    "style": ("color_of", "png", "styled"),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
