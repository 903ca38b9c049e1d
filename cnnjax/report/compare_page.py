"""A comparison of runs as a page and as CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.compare import Row, Run, names_of, shown, swept
from cnnjax.report.figures.rows import row_panels
from cnnjax.report.figures.style import BLUE, COLORS, DOTTED, DOUBLE_COLUMN, color_of, styled
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_document
from cnnjax.report.table import (
    LEAST,
    MISSING,
    Table,
    counted,
    format_count,
    format_number,
    format_summary,
    interval,
)
from cnnjax.run import files, stored
from cnnjax.run.statistics import Summary

_PANELS = 3
_FIGURE = "comparison"
_MARKERS = "osD^"


def write_comparison(
    runs: Sequence[Run], rows: Sequence[Row], left_out: Sequence[str], directory: Path
) -> Path:
    """Write report.html, report.md, figures and table.csv; returns the path of the page.

    Args:
      runs: where the numbers come from.
      rows: what `compare` made of them.
      left_out: what was not compared, and why.
      directory: made if it is not there; an earlier comparison in it is replaced.
    """
    blocks = _blocks(runs, rows, left_out)
    files.write(directory / "table.csv", csv_text(rows).encode())
    path = write_document("Comparison of runs", blocks, directory)
    now = {f"{block.name}.png" for block in blocks if isinstance(block, Figure)}
    for former in (directory / "figures").glob(f"{_FIGURE}-*.png"):
        if former.name not in now:
            former.unlink()
    return path


def csv_text(rows: Sequence[Row]) -> str:
    """One line a row: its names; mean, std, n and the 95 % interval of each number; its runs."""
    names, numbers = _columns(rows)
    parts = ("mean", "std", "n", "low", "high")
    lines = [[*names, *(f"{number} {part}" for number in numbers for part in parts), "runs"]]
    for row in rows:
        cells = [shown(row.names.get(name)) for name in names]
        for number in numbers:
            summary = row.values.get(number)
            if summary is None:
                cells += [None] * len(parts)
            else:
                ends = interval(summary) or (None, None)
                cells += [summary.mean, summary.std, summary.n, *ends]
        lines.append([*cells, " ".join(map(str, row.runs))])
    return stored.csv_text(lines)


def table(rows: Sequence[Row]) -> Table:
    """Names and numbers of each row, with the 95 % interval of the mean over seeds."""
    names, numbers = _columns(rows)
    whole = {number for number in numbers if _is_whole(number, rows)}
    return Table(
        [*map(_words, names), *map(_words, numbers), "seeds"],
        [
            [
                *(shown(row.names.get(name)) or MISSING for name in names),
                *(_cell(row.values.get(number), number in whole) for number in numbers),
                str(max((summary.n for summary in row.values.values()), default=0)),
            ]
            for row in rows
        ],
        f"Mean ± half of the 95 % interval over seeds (Student's t), of at least {LEAST}; of fewer "
        "the mean alone, as where all seeds have the same number.",
    )


@styled
def dots_of_rows(rows: Sequence[Row], numbers: Sequence[str]) -> Drawing:
    """A panel for each of the numbers: its mean in every row, whiskers the 95 % interval."""
    figure, panels = row_panels(_labels(rows), list(map(_words, numbers)))
    for panel, number in zip(panels, numbers, strict=True):
        summaries = {line: row.values.get(number) for line, row in enumerate(rows)}
        drawn = {line: summary for line, summary in summaries.items() if summary is not None}
        for line, summary in drawn.items():
            if ends := interval(summary):
                panel.plot(ends, [line, line], "|-", color=BLUE, markersize=4, linewidth=1.1)
            panel.plot(summary.mean, line, "o", color=BLUE, markersize=4.5)
        _scale(panel, [summary.mean for summary in drawn.values()], 4)
        panel.grid(axis="y", **DOTTED)
    return figure


@styled
def lines_of_rows(rows: Sequence[Row], numbers: Sequence[str], over: str) -> Drawing:
    """A panel for each of the numbers: its mean against a swept number, whiskers the 95 % interval.

    Args:
      rows: in the order of the swept number; those equal in all other names make a line.
      numbers: on the vertical axes.
      over: name of the swept number.
    """
    series = _series(rows, over)
    figure = Drawing(figsize=(DOUBLE_COLUMN, 2.3 + 0.16 * -(-len(series) // 2)))
    panels = figure.subplots(1, len(numbers), squeeze=False)[0]
    for panel, number in zip(panels, numbers, strict=True):
        for order, (label, some) in enumerate(series.items()):
            drawn = [(row.names[over], row.values[number]) for row in some if number in row.values]
            for x, summary in drawn:
                if ends := interval(summary):
                    look = {"color": color_of(order), "markersize": 5, "linewidth": 1.0}
                    panel.plot([x, x], ends, "_-", **look)
            at, means = [x for x, _ in drawn], [summary.mean for _, summary in drawn]
            panel.plot(at, means, label=label, **_look(order))
        _scale(panel, [row.names[over] for row in rows], 5)
        panel.set_xlabel(_words(over))
        panel.set_title(_words(number), loc="left")
        panel.grid()
    if len(series) > 1:
        handles = [Line2D([], [], label=label, **_look(n)) for n, label in enumerate(series)]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _look(order: int) -> dict[str, Any]:
    return {
        "color": color_of(order),
        "marker": _MARKERS[order % len(_MARKERS)],
        "markersize": 3.8,
        "linewidth": 1.2,
    }


def _series(rows: Sequence[Row], over: str) -> dict[str, list[Row]]:
    """The rows by all that tells them apart but the swept number."""
    names = [name for name in _columns(rows)[0] if name != over]
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(_label(row, names), []).append(row)
    return series


def _blocks(runs: Sequence[Run], rows: Sequence[Row], left_out: Sequence[str]) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(f"{counted(len(rows), 'row')} of {counted(len(runs), 'run')}.", lead=True),
        table(rows),
    ]
    over = swept(rows)
    if over is not None and len(_series(rows, over)) > len(COLORS):
        over = None  # lines that no colour tells apart
    drawn = [number for number in _columns(rows)[1] if _varies(number, rows)]
    for start in range(0, len(drawn), _PANELS):
        some = drawn[start : start + _PANELS]
        figure = dots_of_rows(rows, some) if over is None else lines_of_rows(rows, some, over)
        against = "" if over is None else f" against {_words(over)}"
        blocks.append(
            Figure(
                f"{_FIGURE}-{start // _PANELS + 1}",
                figure,
                f"{', '.join(map(_words, some))}{against}: mean over seeds, and its 95 % interval "
                f"where there are at least {LEAST}.",
            )
        )
    if left_out:
        blocks.append(Paragraph(f"Not compared: {'; '.join(left_out)}."))
    return [*blocks, Heading("Runs"), _provenance(runs)]


def _provenance(runs: Sequence[Run]) -> Table:
    rows = []
    for run in runs:
        said = {key: str(value) for key, value in run.environment.items() if value is not None}
        changed = {"True": "yes", "False": "no"}.get(said.get("dirty", ""), MISSING)
        command, commit, started = (
            said.get(key, MISSING) for key in ("command", "commit", "started")
        )
        rows.append([str(run.directory), command, commit[:10], changed, started])
    headings = ["directory", "command", "commit", "changed since", "started"]
    return Table(headings, rows, align=["left"] * 5)


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Names that tell rows apart, all if none does, and the numbers."""
    names = names_of(rows)
    telling = [name for name in names if len({shown(row.names.get(name)) for row in rows}) > 1]
    return telling or names, list(dict.fromkeys(name for row in rows for name in row.values))


def _label(row: Row, names: Sequence[str]) -> str:
    return ", ".join(shown(row.names[name]) for name in names if name in row.names)


def _varies(number: str, rows: Sequence[Row]) -> bool:
    return len({row.values.get(number) for row in rows} - {None}) > 1


def _is_whole(number: str, rows: Sequence[Row]) -> bool:
    means = (row.values[number].mean for row in rows if number in row.values)
    return all(float(mean).is_integer() and mean >= 0 for mean in means)


def _scale(panel: Axes, values: Sequence[float], ticks: int) -> None:
    """A logarithmic axis for positive values of more than a decade."""
    if min(values) > 0 and max(values) > 10 * min(values):
        panel.set_xscale("log")
    else:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=ticks))


def _cell(summary: Summary | None, whole: bool) -> str:
    if summary is None:
        return MISSING
    if not summary.std:
        return format_count(summary.mean) if whole else format_number(summary.mean)
    return format_summary(summary)


def _labels(rows: Sequence[Row]) -> list[str]:
    names, _ = _columns(rows)
    texts = [_label(row, names) for row in rows]
    return [text if len(text) <= 48 else f"{text[:47]}…" for text in texts]


def _words(name: str) -> str:
    return name.replace("_", " ")
