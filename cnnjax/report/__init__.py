"""Pages of runs: tables and figures of observations. Knows no study.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "classifier": ("classifier_blocks", "classifier_results", "score_table"),
    "figures.audits": ("audit_layers", "audit_sizes", "rotations_and_flips"),
    "figures.curves": ("learning_curves", "polar"),
    "figures.features": ("evidence_maps", "unit_patches"),
    "figures.images": ("confusion", "image_grid", "image_rows"),
    "figures.lines": ("line_panels",),
    "figures.rows": ("bars", "dots"),
    "figures.shifts": ("ShiftPanel", "error_against_shift", "shift_maps"),
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
    "rows": ("rows_table",),
    "run_page": ("write_page",),
    "table": (
        "MISSING",
        "Table",
        "counted",
        "format_count",
        "format_number",
        "format_summary",
        "listed",
        "over_seeds",
    ),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
