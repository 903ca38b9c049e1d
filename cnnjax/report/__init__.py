"""Pages of runs: tables and figures of observations. Knows no study.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    from cnnjax.report.classifier import (
        classifier_blocks as classifier_blocks,
        classifier_results as classifier_results,
        score_table as score_table,
    )
    from cnnjax.report.explained_variance import (
        variance_results as variance_results,
        variance_table as variance_table,
    )
    from cnnjax.report.figures.audits import (
        audit_layers as audit_layers,
        audit_sizes as audit_sizes,
        rotations_and_flips as rotations_and_flips,
    )
    from cnnjax.report.figures.curves import learning_curves as learning_curves, polar as polar
    from cnnjax.report.figures.features import (
        evidence_maps as evidence_maps,
        unit_patches as unit_patches,
    )
    from cnnjax.report.figures.images import (
        confusion as confusion,
        image_grid as image_grid,
        image_rows as image_rows,
    )
    from cnnjax.report.figures.lines import line_panels as line_panels
    from cnnjax.report.figures.panels import (
        Curve as Curve,
        CurvePanel as CurvePanel,
        collapse as collapse,
        curve_panels as curve_panels,
    )
    from cnnjax.report.figures.points import points_over as points_over
    from cnnjax.report.figures.rows import bars as bars, dots as dots
    from cnnjax.report.figures.shifts import (
        ShiftPanel as ShiftPanel,
        error_against_shift as error_against_shift,
    )
    from cnnjax.report.figures.style import (
        BLACK as BLACK,
        BLUE as BLUE,
        DOUBLE_COLUMN as DOUBLE_COLUMN,
        GREEN as GREEN,
        GREY as GREY,
        ORANGE as ORANGE,
        SINGLE_COLUMN as SINGLE_COLUMN,
        VERMILLION as VERMILLION,
        color_of as color_of,
        drawn_with as drawn_with,
        rendered as rendered,
        styled as styled,
    )
    from cnnjax.report.findings import (
        costs as costs,
        curves_of as curves_of,
        difference_table as difference_table,
        images_per_second as images_per_second,
        learning_rate as learning_rate,
        name_of as name_of,
        over as over,
        setting as setting,
        summaries as summaries,
        summary_table as summary_table,
    )
    from cnnjax.report.loading import Run as Run, load_run as load_run
    from cnnjax.report.over_images import (
        results_over_images as results_over_images,
        table_over_images as table_over_images,
    )
    from cnnjax.report.page import (
        Block as Block,
        Code as Code,
        Figure as Figure,
        Heading as Heading,
        Paragraph as Paragraph,
        write_document as write_document,
    )
    from cnnjax.report.paired import contrast_table as contrast_table, contrasts as contrasts
    from cnnjax.report.rows import reached as reached, rows_table as rows_table
    from cnnjax.report.run_page import write_page as write_page
    from cnnjax.report.table import (
        MISSING as MISSING,
        Table as Table,
        counted as counted,
        format_contrast as format_contrast,
        format_count as format_count,
        format_interval as format_interval,
        format_number as format_number,
        format_summary as format_summary,
        listed as listed,
        over_seeds as over_seeds,
    )
    from cnnjax.report.tuning_page import write_tuning_page as write_tuning_page
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
