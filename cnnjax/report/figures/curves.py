"""Learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.figures.style import DOUBLE_COLUMN, color_of, legend_columns, styled

Curves = Mapping[str, Mapping[str, Sequence[Any]]]
"""Curves of a network, see `run.metrics.learning_curves`: `{"loss": {"steps", "values"}, ...}`."""

_SCALES = {"accuracy": 100}
_KINDS: dict[str, dict[str, Any]] = {
    "": {"linestyle": (0, (2, 1.2)), "linewidth": 0.9},
    "eval_": {"linestyle": "-", "linewidth": 1.5, "marker": "o", "markersize": 2.6},
}
_KIND_NAMES = {"": "training batches", "eval_": "evaluation"}


@styled
def learning_curves(
    groups: Mapping[str, Sequence[Curves]], quantities: Sequence[str] = ("loss", "accuracy")
) -> Figure:
    """Panels of quantities against steps: faint lines of single seeds, a bold one of their mean.

    Args:
      groups: for each name, in a colour of its own, the curves of its seeds.
      quantities: a panel each; of training batches (dashed) and, if there are any, of evaluations
        (with dots). The mean is drawn at steps that all seeds have; a value that is None is a gap.

    Raises:
      ValueError: there is none of the quantities in any curve.
    """
    drawn = [
        quantity
        for quantity in quantities
        if any(
            f"{kind}{quantity}" in one
            for some in groups.values()
            for one in some
            for kind in _KINDS
        )
    ]
    if not drawn:
        raise ValueError(f"groups must have curves of {list(quantities)}, got {dict(groups)}.")
    figure = Figure(figsize=(DOUBLE_COLUMN, 2.4 + 0.1 * len(groups)))
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    kinds = set()
    for axes, quantity in zip(panels, drawn, strict=True):
        scale = _SCALES.get(quantity, 1)
        for number, (name, seeds) in enumerate(groups.items()):
            for kind, look in _KINDS.items():
                found = [seed[f"{kind}{quantity}"] for seed in seeds if f"{kind}{quantity}" in seed]
                if found:
                    kinds.add(kind)
                    label = ", ".join(filter(None, [name, _KIND_NAMES[kind]]))
                    _draw(axes, found, scale, label, {"color": color_of(number), **look})
        axes.set_xlabel("steps")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        name = quantity.replace("_", " ")
        axes.set_ylabel(f"{name} (%)" if quantity in _SCALES else name)
        axes.grid()
    named = [
        Line2D([], [], color=color_of(number), label=name)
        for number, name in enumerate(groups)
        if name and len(groups) > 1
    ]
    styles = [
        Line2D(
            [], [], color=color_of(0) if not named else "#5a5a5a", label=_KIND_NAMES[kind], **look
        )
        for kind, look in _KINDS.items()
        if kind in kinds
    ]
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
