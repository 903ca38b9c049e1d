"""Curves over one axis, in panels side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from cnnjax.report.figures.style import COLORS, DOUBLE_COLUMN, GREY, color_of, styled

_STYLES = ("-", "--", ":", "-.")


@styled
def line_panels(
    panels: Mapping[str, Mapping[str, Sequence[float] | np.ndarray]],
    x: Sequence[float] | np.ndarray,
    label: str,
    *,
    y_label: str = "",
    limits: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
    logarithmic: bool = False,
    linear_below: float | None = None,
    reference: float | None = None,
    markers: str = "",
) -> Figure:
    """Panels of curves: a name has the same colour and line in every panel.

    Args:
      panels: for each title the values of every curve, by name, one for each x.
      x: places of the values.
      label: of the horizontal axes.
      y_label: of the vertical axis, which all panels then share; else each has its own.
      limits: of the vertical axes.
      ticks: of the horizontal axes.
      logarithmic: whether both axes are.
      linear_below: the vertical axes are logarithmic above this value, and linear down to 0.
      reference: height of a dashed line in all panels, such as chance.
      markers: a matplotlib marker for every point.

    Raises:
      ValueError: no curves, or one that has not a value for each x.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    if not names:
        raise ValueError(f"panels must have at least one curve, got {dict(panels)}.")
    for title, curves in panels.items():
        for name, curve in curves.items():
            if len(curve) != len(x):
                raise ValueError(
                    f"the curve {name!r} of {title!r} must have {len(x)} values, one for each x, "
                    f"got {len(curve)}."
                )
    legend_rows = -(-len(names) // 3)
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.3 + 0.17 * legend_rows))
    grid = figure.subplots(1, len(panels), sharey=bool(y_label), squeeze=False)[0]
    for axes, (title, curves) in zip(grid, panels.items(), strict=True):
        for name, curve in curves.items():
            place = names.index(name)
            look = {"color": color_of(place), "marker": markers or None, "markersize": 3}
            # Colours that repeat have another line.
            style = _STYLES[(place + place // len(COLORS)) % len(_STYLES)]
            axes.plot(x, curve, style, label=name, **look)
        if reference is not None:
            axes.axhline(reference, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
        if logarithmic:
            axes.set(xscale="log", yscale="log")
        if linear_below is not None:
            axes.set_yscale("symlog", linthresh=linear_below, linscale=0.5)
        if ticks is not None:
            axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        axes.set(title=title, xlabel=label, ylim=limits)
        axes.margins(x=0.02)
        axes.grid()
    grid[0].set_ylabel(y_label)
    handles = {
        name: handle
        for axes in grid
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    ordered = [handles[name] for name in names]
    figure.legend(ordered, names, loc="outside upper center", ncols=min(3, len(names)))
    return figure
