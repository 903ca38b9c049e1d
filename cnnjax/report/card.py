"""The card of a layer: a page and its figures, made from the results alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cnnjax.report import page
from cnnjax.report.figures import shifts
from cnnjax.report.page import Block, Code, Heading, Paragraph, write_page
from cnnjax.report.style import (
    BLACK,
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    ORANGE,
    SINGLE_COLUMN,
    VERMILLION,
    png,
    styled,
)
from cnnjax.report.table import Table, format_count, format_number
from cnnjax.run.record import Record

Results = Mapping[str, Any]

_PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, "#cc79a7", "#56b4e9", BLACK, "#b8a900")
_FADED = "#dcdcdc"
_RADIUS = 0.3
_HEIGHT = 1.7


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of the card.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(f"The card of {results['label']}", _blocks(results), record.directory)


def weight_colors(count: int) -> list[str]:
    """A colour for each weight: distinct for up to 8, else from all over the rainbow."""
    if count <= len(_PALETTE):
        return list(_PALETTE[:count])
    places = 0.04 + 0.92 * (np.arange(count) * 0.618 % 1)  # neighbours far apart
    return [to_hex(colormaps["turbo"](place)) for place in places]


@styled
def connection_diagram(labels: np.ndarray) -> Figure:
    """Units as circles and weights as lines: all, seen from below, seen from above.

    After Goodfellow, Bengio, Courville, Deep Learning, 2016, figures 9.2, 9.3, 9.5 and 9.16.

    Args:
      labels: `[outputs, inputs]`: which weight connects them, equal labels being one weight; -1:
        none does.
    """
    outputs, inputs = labels.shape
    columns = max(outputs, inputs)
    width = max(4.4, min(DOUBLE_COLUMN, 0.5 * columns))
    figure = Figure(figsize=(width, 3 * (width / columns * (_HEIGHT + 0.8) + 0.3)))
    axes = figure.subplots(3, 1)
    middle = inputs // 2, outputs // 2
    below = labels[:, middle[0]] >= 0
    above = labels[middle[1]] >= 0
    titles = (
        f"all connections, one colour a weight: {labels.max() + 1} weights, "
        f"{(labels >= 0).sum()} connections",
        f"seen from below: input x{_subscript(middle[0])} affects {below.sum()} of {outputs} "
        "outputs",
        f"seen from above: output z{_subscript(middle[1])} sees {above.sum()} of {inputs} inputs",
    )
    everything = np.ones(labels.shape, bool)
    one_input = np.arange(inputs)[None, :] == middle[0]
    one_output = np.arange(outputs)[:, None] == middle[1]
    shown = (everything, everything & one_input, everything & one_output)
    for ax, title, bright in zip(axes, titles, shown, strict=True):
        _draw_units(ax, labels, bright, columns)
        ax.set_title(title, loc="left")
    return figure


def _draw_units(ax: Axes, labels: np.ndarray, bright: np.ndarray, columns: int) -> None:
    outputs, inputs = labels.shape
    colors = weight_colors(int(labels.max()) + 1)
    x_of = {
        "z": [(place + 0.5) * columns / outputs for place in range(outputs)],
        "x": [(place + 0.5) * columns / inputs for place in range(inputs)],
    }
    for in_front in (False, True):
        for output, read in zip(*np.nonzero((labels >= 0) & (bright == in_front))):
            ends = [x_of["x"][read], x_of["z"][output]], [0, _HEIGHT]
            color = colors[labels[output, read]] if in_front else _FADED
            ax.plot(*ends, color=color, linewidth=1.6 if in_front else 0.8, zorder=1 + in_front)
    lit = bright & (labels >= 0)
    for name, y, seen in (("z", _HEIGHT, lit.any(1)), ("x", 0.0, lit.any(0))):
        for place, x in enumerate(x_of[name]):
            face, edge = ("#f2f2f2", BLACK) if seen[place] else ("white", GREY)
            ax.add_patch(Circle((x, y), _RADIUS, facecolor=face, edgecolor=edge, zorder=3))
            text = f"{name}{_subscript(place)}"
            ax.text(x, y, text, ha="center", va="center", zorder=4, color=edge, fontsize=7.5)
    ax.set_xlim(0, columns)
    ax.set_ylim(-0.4, _HEIGHT + 0.4)
    ax.set_aspect("equal")
    ax.axis("off")


@styled
def sharing_matrix(labels: np.ndarray) -> Figure:
    """The matrix of a layer: white where it is zero, one colour a weight elsewhere."""
    figure = Figure(figsize=(SINGLE_COLUMN, 2.9))
    ax = figure.subplots()
    colors = ListedColormap(["white", *weight_colors(int(labels.max()) + 1)])
    ax.imshow(labels + 1, cmap=colors, vmin=0, vmax=labels.max() + 1, interpolation="none")
    ax.set_xticks(range(labels.shape[1]), [f"x{_subscript(i)}" for i in range(labels.shape[1])])
    ax.set_yticks(range(labels.shape[0]), [f"z{_subscript(i)}" for i in range(labels.shape[0])])
    ax.set_xticks(np.arange(labels.shape[1] + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(labels.shape[0] + 1) - 0.5, minor=True)
    ax.grid(which="minor")
    ax.tick_params(which="both", length=0)
    ax.set_axisbelow(False)
    return figure


@styled
def receptive_field_map(gradient: np.ndarray, position: Sequence[int]) -> Figure:
    """Root mean squared gradient of one output by each input position of an image."""
    figure = Figure(figsize=(SINGLE_COLUMN, 2.7))
    ax = figure.subplots()
    image = ax.imshow(np.sqrt(gradient / gradient.max()), cmap="Greys", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=ax)
    bar.set_label("gradient, relative to the largest")
    ax.set_title(f"output {tuple(position)}", loc="left")
    ax.set_xlabel("input column")
    ax.set_ylabel("input row")
    return figure


def _blocks(results: Results) -> list[Block]:
    lattice, field = results["lattice"], results["receptive_field"]
    shape = (
        " x ".join(map(str, results["input"])) + " to " + " x ".join(map(str, results["output"]))
    )
    facts = [
        ["input to output", shape],
        ["parameters", f"{results['parameters']:,}"],
        ["multiply-adds, one image", f"{results['multiply_adds']:,}"],
        ["bytes read and written at least", f"{results['bytes_moved']:,}"],
        ["multiply-adds a byte", format_number(results["arithmetic_intensity"])],
        ["receptive field, theoretical", _steps(field["sizes"])],
        ["its window by arithmetic, an axis", str(field["of_the_window"])],
        ["receptive field, effective size", format_number(field["effective_size"])],
        ["exact translations, predicted", _steps(lattice["predicted"])],
        ["exact translations, measured", _steps(lattice["measured"])],
    ]
    conv = results["conv"] if ":" in results["conv"] else results["class"]
    return [
        Paragraph(_summary(results), lead=True),
        Heading("Formula and rule"),
        Code(f"{conv}\n\n{results['description']}"),
        *_connection_blocks(results["connections"]),
        Heading("Facts"),
        Table(["", results["label"]], facts),
        # Sentences, too long for a cell.
        *(
            Paragraph(f"{name.capitalize()}: {_found(results[name])}.")
            for name in ("initial variance", "gradients")
        ),
        _figure(
            "receptive_field",
            receptive_field_map(np.array(field["map"]), field["position"]),
            "What one output of the middle sees: root mean squared gradient over noise and "
            "channels. White: does not see it.",
        ),
        Heading("Translations"),
        _figure("error_against_shift", _shift_figure(results), _SHIFT_CAPTION),
        Heading("Time"),
        _time_table(results),
    ]


_SHIFT_CAPTION = (
    "Equivariance error against horizontal circular shift of the input. Triangles: the claimed "
    "lattice, or the measured one without a claim; dots on the zero line: shifts without error."
)


def _summary(results: Results) -> str:
    lattice, times = results["lattice"], results["times"]["median"]
    ratio = times["layer forward and backward"] / times["standard forward and backward"]
    claims = lattice["predicted"] is not None
    right = lattice["predicted"] == lattice["measured"]
    agrees = "as it claims" if right else f"not by {_steps(lattice['predicted'])}, as it claims"
    failed = [name for name in ("initial variance", "gradients") if not results[name]["passed"]]
    fails = f" It fails on {' and '.join(failed)}, see the facts." if failed else ""
    return (
        f"{results['label']}: {format_count(results['parameters'])} parameters, "
        f"{format_count(results['multiply_adds'])} multiply-adds an image; it commutes with shifts "
        f"by {_steps(lattice['measured'])}"
        + (f", {agrees}" if claims else ", and claims nothing")
        + f"; forward and backward take {ratio:.2f} times the standard layer's time."
        + fails
    )


def _connection_blocks(connections: Mapping[str, Any]) -> list[Block]:
    if "refused" in connections:
        return [
            Paragraph(
                "It has no connection diagram: it does not take one axis of one channel "
                f"({connections['refused']})."
            )
        ]
    if "not_affine" in connections:
        return [
            Paragraph(
                "It has no matrix: it is not affine in its input, off by "
                f"{format_number(connections['not_affine'], 2)} of the output from its map of unit "
                "vectors."
            )
        ]
    labels = np.array(connections["labels"])
    rule = " ".join(map(str, connections["rule"]))
    return [
        Paragraph(
            f"Found from the layer itself, on {labels.shape[1]} units in one dimension and one "
            f"channel: {connections['weights']} different entries on {connections['edges']} "
            f"connections. Output positions 0, 1, 2, ... use, under circular padding, the kernels"
        ),
        Code(f"rule(p) = {rule}"),
        _figure(
            "connections",
            connection_diagram(labels),
            "Inputs below, outputs above, zero padding. Lines of one colour are one weight: two "
            "entries of the matrix that are the same function of the parameters.",
        ),
        _figure(
            "sharing",
            sharing_matrix(labels),
            "The same as a matrix: a row for each output, a column for each input.",
        ),
    ]


def _shift_figure(results: Results) -> Figure:
    lattice = results["lattice"]
    errors = np.array(lattice["errors"])
    step = (lattice["predicted"] or lattice["measured"])[1]
    panel = shifts.ShiftPanel(results["label"], {"untrained layer": errors[0]}, step)
    return shifts.error_against_shift([panel], exact=1e-5, independent=2**0.5, columns=1)


def _time_table(results: Results) -> Table:
    times = results["times"]
    rows = []
    for kind in ("forward", "forward and backward"):
        layer, standard = (times["median"][f"{name} {kind}"] for name in ("layer", "standard"))
        limit = times["limit"][f"layer {kind}"]
        rows.append(
            [
                kind,
                format_number(1e3 * layer),
                format_number(1e3 * standard),
                format_number(layer / standard),
                format_number(1e3 * limit),
                format_number(100 * limit / layer, 2),
            ]
        )
    config = results["config"]
    return Table(
        ["", "layer (ms)", "standard (ms)", "ratio", "limit (ms)", "limit / layer (%)"],
        rows,
        caption=(
            f"Medians of {config['rounds']} calls with {config['batch_size']} images, taken in "
            f"turns, on {times['device']}. The limit is the larger of multiply-adds at "
            f"{format_count(times['multiply_adds_per_second'])}/s (a matrix product) and bytes at "
            f"{format_count(times['bytes_per_second'])}B/s (a sum), both measured just before."
        ),
    )


def _figure(name: str, figure: Figure, caption: str) -> page.Figure:
    return page.Figure(name, png(figure), caption, alt=caption)


def _found(finding: Mapping[str, Any]) -> str:
    return finding["found"] if finding["passed"] else f"FAILED: {finding['found']}"


def _steps(steps: Sequence[int] | None) -> str:
    return "no claim" if steps is None else " x ".join(map(str, steps))


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
