"""Pages of runs: tables and figures of observations. Knows no study.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "classifier": ("classifier_blocks", "classifier_results", "score_table"),
    "figures.bar_charts": ("bars",),
    "figures.confusion_matrices": ("confusion",),
    "figures.curves": ("learning_curves",),
    "figures.dot_plots": ("dots",),
    "figures.images": ("image_grid",),
    "figures.maps": ("shift_maps",),
    "figures.polar_plots": ("polar",),
    "figures.shifts": ("ShiftPanel", "error_against_shift"),
    "figures.style": (
        "BLACK",
        "BLUE",
        "DOUBLE_COLUMN",
        "GREEN",
        "GREY",
        "ORANGE",
        "SINGLE_COLUMN",
        "VERMILLION",
        "color_of",
        "png",
        "styled",
    ),
    "findings": (
        "costs",
        "curves_of",
        "images_per_second",
        "name_of",
        "over",
        "setting",
        "summaries",
        "summary_table",
    ),
    "page": ("Block", "Code", "Figure", "Heading", "Paragraph", "write_document"),
    "run_page": ("write_page",),
    "table": (
        "MISSING",
        "Table",
        "counted",
        "format_count",
        "format_number",
        "format_summary",
        "over_seeds",
    ),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
