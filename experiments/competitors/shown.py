"""What the page of `benchmark` shows, from the numbers that the record holds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure

from cnnjax import inspect, report
from experiments.competitors.comparison import OURS

FAMILIES = {"banks of kernels": ("local", "tiled", "low"), "no products": ("LRN", "max", "average")}
"""First words of the layers that the figure shows in a colour of their own."""


def shares_of_limit(
    kind: str, cases: Mapping[str, Any], timings: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    """Seconds that each layer takes at least, and the share of our time that this is."""
    limits, found = inspect.MachineLimits(**timings["machine"]), {}
    for name, case in cases.items():
        if kind in case["work"]:
            work = case["work"][kind]
            least = limits.least_seconds(work["multiply_adds"], work["bytes"])
            ours = timings[name]["passes"][kind][OURS]["seconds"]["median"]
            found[name] = least, least / ours
    return found


def summary(cases: Mapping[str, Any], timings: Mapping[str, Any]) -> str:
    """What is installed, and each competitor's mean ratio over equal layers (undisturbed turns)."""
    versions = [f"{name} ({version})" for name, version in timings["versions"].items()]
    found = [f"Compared are {report.listed(versions)}."]
    if timings["missing"]:
        found.append(f"Not installed: {report.listed(timings['missing'])}.")
    for competitor in timings["versions"]:
        ratios = [
            each[competitor]["speedup"]
            for name in cases
            for kind, each in timings[name]["passes"].items()
            if kind != "training" and competitor != OURS and competitor in each
            if each[competitor]["same"]
        ]
        quiet = [each["median"] for each in ratios if each["quiet"]]
        if quiet:
            found.append(
                f"{competitor} takes {report.format_number(statistics.geometric_mean(quiet))} "
                f"times our time for equal layers, the geometric mean of {len(quiet)}."
            )
        elif ratios:
            found.append(f"No ratio of {competitor} for equal layers was undisturbed.")
    return " ".join(found)


def disturbed(cases: Mapping[str, Any], timings: Mapping[str, Any]) -> str:
    """How many turns other processes disturbed, and what became of these, in sentences."""
    measured = [
        each
        for name in cases
        for passes in timings[name]["passes"].values()
        for each in passes.values()
    ]
    turns = [turn for each in measured for turn in each["turns"]]
    if any(turn["others"] is None for turn in turns):
        return "The system does not tell the load of other processes: no turn was discarded."
    discarded = sum(each["seconds"]["discarded"] for each in measured)
    busy = [each for each in measured if not each["seconds"]["quiet"]]
    found = f"Of {len(turns)} turns {discarded} were disturbed by other processes and discarded."
    if busy:
        found += (
            f" In {len(busy)} of {len(measured)} measurements every turn was disturbed: their "
            "numbers, marked ~, are of disturbed turns, and depend on what else ran."
        )
    return found


def layer_table(
    kind: str, shares: Mapping[str, tuple[float, float]], timings: Mapping[str, Any]
) -> report.Table:
    """Times, limits, memory and ratios of one pass of all layers."""
    others = [name for name in timings["versions"] if name != OURS]
    rows = []
    for name, (least, share) in shares.items():
        timed = timings[name]["passes"][kind]
        ours = timed[OURS]
        row = [name, spread(ours["seconds"], 1e3), report.format_number(1e3 * least)]
        row += [report.format_number(100 * share, 2)]
        row += [report.format_count(ours["temporary_bytes"])]
        row += [report.format_number(ours["compile_seconds"], 2)]
        rows.append(row + [ratio(timed.get(other)) for other in others])
    columns = ["layer", "ms", "limit (ms)", "limit / time (%)", "temporary (B)", "compile (s)"]
    return report.Table(
        columns + [f"{other} / ours" for other in others],
        rows,
        caption="Median of undisturbed turns and quartiles. Ratios are of times in the same round, "
        "above 1 where cnnjax is faster; in square brackets: a convolution with as many "
        "operations, not the same function.",
        align=("left",) + ("right",) * (len(columns) - 1 + len(others)),
    )


def training_table(
    names: Sequence[str], cases: Mapping[str, Any], timings: Mapping[str, Any]
) -> report.Table:
    """Steps and images a second, and ratios."""
    others = [name for name in timings["versions"] if name != OURS]
    rows = []
    for name in names:
        timed = timings[name]["passes"]["training"]
        steps = timed[OURS]["steps"] / timed[OURS]["seconds"]["median"]
        speeds = [report.format_number(steps), report.format_number(steps * cases[name]["batch"])]
        rows.append([name, *speeds, *(ratio(timed.get(other)) for other in others)])
    return report.Table(
        ["network", "steps/s", "images/s", *(f"{other} / ours" for other in others)],
        rows,
        caption="Momentum in float32, equal parameters at the start; cnnjax's loop reads the "
        "metrics of every step, the others' loops read nothing.",
        align=("left",) + ("right",) * (2 + len(others)),
    )


def host_overhead(timed: Mapping[str, Any]) -> str:
    """What a step costs beside the network, against a loop around a compiled step."""
    each = {
        name: 1e6 * of["seconds"]["median"] / of["steps"]
        for name, of in timed["passes"]["training"].items()
    }
    listed = report.listed(f"{report.format_number(us)} µs ({name})" for name, us in each.items())
    return f"A step of the tiny network, nearly all of it work of the host, takes {listed}."


def not_timed(cases: Mapping[str, Any], timings: Mapping[str, Any]) -> list[str]:
    """What competitors do not have, or do otherwise, in sentences."""
    reasons: dict[str, list[str]] = {}
    for name in cases:
        for competitor, reason in timings[name]["left_out"].items():
            reasons.setdefault(f"{competitor} {reason}", []).append(name)
    found = [f"{reason}: {report.listed(names)}." for reason, names in reasons.items()]
    return found or ["Nothing: every competitor has every case."]


def ratio(timed: Mapping[str, Any] | None) -> str:
    """A competitor's ratio and its quartiles, as the tables show it."""
    if timed is None:
        return report.MISSING
    shown = spread(timed["speedup"])
    return shown if timed["same"] else f"[{shown}]"


def spread(found: Mapping[str, Any], scale: float = 1.0) -> str:
    """Median and quartiles: 1.23 (1.20-1.31); ~ before it where no turn was undisturbed."""
    median, lower, upper = (
        report.format_number(scale * found[name]) for name in ("median", "lower", "upper")
    )
    return f"{'' if found['quiet'] else '~'}{median} ({lower}–{upper})"


def roofline(
    cases: Mapping[str, Any], shares: Mapping[str, Mapping[str, tuple]], machine: Mapping[str, Any]
) -> matplotlib.figure.Figure:
    """Share of the limit against arithmetic intensity, a panel for each pass."""
    figure = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 2.8))
    panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
    families = {family_of(case["layer"]): None for case in cases.values() if case["work"]}
    looks = dict(zip(families, ((report.BLUE, "o"), (report.GREEN, "s"), (report.ORANGE, "^"))))
    for axes, (kind, found) in zip(panels, shares.items(), strict=True):
        for family, (colour, marker) in looks.items():
            names = [name for name in found if family_of(cases[name]["layer"]) == family]
            works = [cases[name]["work"][kind] for name in names]
            intensity = [work["multiply_adds"] / work["bytes"] for work in works]
            percent = [100 * found[name][1] for name in names]
            axes.plot(intensity, percent, marker, color=colour, markersize=4, label=family)
        balance = machine["multiply_adds_per_second"] / machine["bytes_per_second"]
        axes.axvline(balance, color=report.GREY, linewidth=0.8, linestyle="--")
        axes.set_xscale("symlog", linthresh=0.5)
        axes.margins(x=0.08)
        axes.set_title(kind, loc="left")
        axes.set_xlabel("multiply-adds per byte")
    panels[0].set_ylabel("share of the limit (%)")
    panels[0].set_ylim(bottom=0)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def family_of(layer: str) -> str:
    """The colour's name in the figure."""
    first = layer.split()[0]
    return next((name for name, words in FAMILIES.items() if first in words), "other convolutions")
