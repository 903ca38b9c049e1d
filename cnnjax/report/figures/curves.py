"""Curves of learning, over steps, and curves over the angles of a circle."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.figures.style import DOUBLE_COLUMN, color_of, legend_columns, panel_grid, styled

Curves = Mapping[str, Mapping[str, Sequence[Any]]]
"""Curves of a network, see `run.metrics.learning_curves`: `{"loss": {"steps", "values"}, ...}`."""

_QUANTITIES = {
    "loss": ("loss", 1),
    "accuracy": ("accuracy (%)", 100),
    "total_loss": ("total loss", 1),
    "learning_rate": ("learning rate", 1),
}
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("training batches", {"linestyle": (0, (2, 1.2)), "linewidth": 0.9}),
    "eval_": ("evaluation", {"linewidth": 1.5, "marker": "o", "markersize": 2.6}),
}


@styled
def learning_curves(
    groups: Mapping[str, Sequence[Curves]], quantities: Sequence[str] = ("loss", "accuracy")
) -> Figure:
    """Panels of quantities against steps: faint lines of seeds, a bold one of their mean.

    Args:
      groups: for each name, in a colour of its own, the curves of its seeds: of training batches
        (dashed) and, if there are any, of evaluations (with dots). The mean is drawn at steps that
        all seeds have; a value that is None is a gap.
      quantities: a panel each, of loss, accuracy, total_loss and learning_rate.

    Raises:
      ValueError: there is none of the quantities in any curve.
    """
    present = {name for seeds in groups.values() for seed in seeds for name in seed}
    drawn = [name for name in quantities if any(f"{kind}{name}" in present for kind in _KINDS)]
    if not drawn:
        raise ValueError(f"groups must have curves of {list(quantities)}, got {dict(groups)}.")
    kinds = [kind for kind in _KINDS if any(f"{kind}{name}" in present for name in drawn)]
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.4 + 0.1 * len(groups)))
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, quantity in zip(panels, drawn, strict=True):
        label, scale = _QUANTITIES[quantity]
        for number, (name, seeds) in enumerate(groups.items()):
            for kind in kinds:
                found = [seed[f"{kind}{quantity}"] for seed in seeds if f"{kind}{quantity}" in seed]
                if found:
                    words, look = _KINDS[kind]
                    legend = ", ".join(filter(None, [name, words]))
                    _draw(axes, found, scale, legend, {"color": color_of(number), **look})
        axes.set_xlabel("steps")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylabel(label)
        axes.grid()
    named = [
        Line2D([], [], color=color_of(number), label=name)
        for number, name in enumerate(groups)
        if name and len(groups) > 1
    ]
    color = "#5a5a5a" if named else color_of(0)
    looks = [_KINDS[kind] for kind in kinds]
    styles = [Line2D([], [], color=color, label=words, **look) for words, look in looks]
    legend_columns(figure, *(named[n : n + 3] for n in range(0, len(named), 3)), styles)
    return figure


def _draw(
    axes: Axes,
    curves: Sequence[Mapping[str, Sequence[Any]]],
    scale: float,
    label: str,
    look: dict[str, Any],
) -> None:
    by_step = [
        {s: np.nan if v is None else scale * v for s, v in zip(c["steps"], c["values"])}
        for c in curves
    ]
    if len(curves) > 1:
        for curve in by_step:
            faint: dict[str, Any] = {**look, "linewidth": 0.6, "alpha": 0.4, "marker": None}
            axes.plot(list(curve), list(curve.values()), label=f"{label}, seed", **faint)
    steps = [step for step in by_step[0] if all(step in curve for curve in by_step)]
    means = [float(np.mean([curve[step] for curve in by_step])) for step in steps]
    if len(steps) == 1:
        look = {**look, "marker": "o", "markersize": 2.6}
    axes.plot(steps, means, label=label, **look)


@styled
def polar(panels: Mapping[str, np.ndarray], angles: np.ndarray, *, columns: int = 4) -> Figure:
    """Panels of closed curves over angles, such as the share of images that each detector wins.

    Args:
      panels: for each title `[angles, curves]` from 0 to 1, each in the colour of its number.
      angles: in degrees, evenly over the circle, counter-clockwise.
      columns: panels to a row.
    """
    figure, grid = panel_grid(
        len(panels),
        columns,
        lambda rows, _: (DOUBLE_COLUMN, 2.15 * rows),
        subplot_kw={"projection": "polar"},
    )
    closed = np.deg2rad(np.append(angles, angles[0] + 360.0))
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        for number, curve in enumerate(np.concatenate([curves, curves[:1]]).T):
            axes.plot(closed, curve, color=color_of(number), linewidth=1.1)
            axes.fill(closed, curve, color=color_of(number), alpha=0.12, linewidth=0)
        axes.set_title(title, pad=4)
        axes.set_ylim(0, 1.05)
        axes.set_yticks([0.5, 1.0], labels=[])
        axes.set_xticks(np.deg2rad([0, 90, 180, 270]), labels=["0°", "90°", "180°", "270°"])
        axes.tick_params(pad=-2)
    return figure
