"""A comparison of runs as a page and as CSV."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnjax.report.compare import Comparison, Run
from cnnjax.report.figures.rows import row_panels
from cnnjax.report.figures.style import BLUE, COLORS, DOTTED, DOUBLE_COLUMN, color_of, styled
from cnnjax.report.findings import groups_in_words, over, summary_table
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_document
from cnnjax.report.table import LEAST, MISSING, Table, counted, interval
from cnnjax.run import files, stored
from cnnjax.run.observations import Observations

_PANELS = 3
_FIGURE = "comparison"
_MARKERS = "osD^"


def write_comparison(
    runs: Sequence[Run], compared: Comparison, left_out: Sequence[str], directory: Path
) -> Path:
    """Write report.html, report.md, figures and table.csv; returns the path of the page.

    Args:
      runs: where the numbers come from.
      compared: what `compare` made of them.
      left_out: what was not compared, and why.
      directory: made if it is not there; an earlier comparison in it is replaced.
    """
    blocks = _blocks(runs, compared, left_out)
    files.write(directory / "table.csv", csv_text(compared).encode())
    path = write_document("Comparison of runs", blocks, directory)
    now = {f"{block.name}.png" for block in blocks if isinstance(block, Figure)}
    for former in (directory / "figures").glob(f"{_FIGURE}-*.png"):
        if former.name not in now:
            former.unlink()
    return path


def csv_text(compared: Comparison) -> str:
    """One line a row: its names; mean, std, n and the 95 % interval of each number; its runs."""
    names, numbers = compared.names, compared.found.numbers
    parts = ("mean", "std", "n", "low", "high")
    lines = [[*names, *(f"{number} {part}" for number in numbers for part in parts), "runs"]]
    for group in compared.found.groups(*names).values():
        cells = [group.rows[0].get(name) for name in names]
        for number in numbers:
            summary = over(group, number)
            if summary is None:
                cells += [None] * len(parts)
            else:
                ends = interval(summary) or (None, None)
                cells += [summary.mean, summary.std, summary.n, *ends]
        runs = dict.fromkeys(str(compared.origin[cell.key]) for cell in group.cells)
        lines.append([*cells, " ".join(runs)])
    return stored.csv_text(lines)


def table(compared: Comparison) -> Table:
    """Names and numbers of each row, with the 95 % interval of the mean over seeds."""
    columns = {_words(number): number for number in compared.found.numbers}
    seeds = {"seeds": lambda group: str(len(group.seeds))}
    return summary_table(compared.found, {**columns, **seeds}, *compared.names)


@styled
def dots_of_rows(compared: Comparison, numbers: Sequence[str]) -> Drawing:
    """A panel for each of the numbers: its mean in every row, whiskers the 95 % interval."""
    rows = [
        (_label(words), group) for words, group in groups_in_words(compared.found, compared.names)
    ]
    texts = [text if len(text) <= 48 else f"{text[:47]}…" for text, _ in rows]
    figure, panels = row_panels(texts, list(map(_words, numbers)))
    for panel, number in zip(panels, numbers, strict=True):
        summaries = {line: over(group, number) for line, (_, group) in enumerate(rows)}
        drawn = {line: summary for line, summary in summaries.items() if summary is not None}
        for line, summary in drawn.items():
            if ends := interval(summary):
                panel.plot(ends, [line, line], "|-", color=BLUE, markersize=4, linewidth=1.1)
            panel.plot(summary.mean, line, "o", color=BLUE, markersize=4.5)
        _scale(panel, [summary.mean for summary in drawn.values()], 4)
        panel.grid(axis="y", **DOTTED)
    return figure


@styled
def lines_of_rows(compared: Comparison, numbers: Sequence[str], swept: str) -> Drawing:
    """A panel for each of the numbers: its mean against a swept number, whiskers the 95 % interval.

    Args:
      compared: rows that are equal in all other names make a line.
      numbers: on the vertical axes.
      swept: name of the swept number.
    """
    series = _series(compared, swept)
    figure = Drawing(figsize=(DOUBLE_COLUMN, 2.3 + 0.16 * -(-len(series) // 2)))
    panels = figure.subplots(1, len(numbers), squeeze=False)[0]
    for panel, number in zip(panels, numbers, strict=True):
        for order, (label, rows) in enumerate(series.items()):
            means = {}
            for x, group in rows.groups(swept).items():
                if summary := over(group, number):
                    means[x] = summary.mean
                    if ends := interval(summary):
                        look = {"color": color_of(order), "markersize": 5, "linewidth": 1.0}
                        panel.plot([x, x], ends, "_-", **look)
            panel.plot([*means], [*means.values()], label=label, **_look(order))
        _scale(panel, compared.found.values(swept), 5)
        panel.set_xlabel(_words(swept))
        panel.set_title(_words(number), loc="left")
        panel.grid()
    if len(series) > 1:
        handles = [Line2D([], [], label=label, **_look(n)) for n, label in enumerate(series)]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _look(order: int) -> dict[str, Any]:
    marker = _MARKERS[order % len(_MARKERS)]
    return {"color": color_of(order), "marker": marker, "markersize": 3.8, "linewidth": 1.2}


def _series(compared: Comparison, swept: str) -> dict[str, Observations]:
    """The rows by all that tells them apart but the swept number."""
    names = tuple(name for name in compared.names if name != swept)
    if not names:
        return {"": compared.found}
    return {_label(words): group for words, group in groups_in_words(compared.found, names)}


def _blocks(runs: Sequence[Run], compared: Comparison, left_out: Sequence[str]) -> list[Block]:
    rows = compared.found.groups(*compared.names).values()
    blocks: list[Block] = [
        Paragraph(f"{counted(len(rows), 'row')} of {counted(len(runs), 'run')}.", lead=True),
        table(compared),
    ]
    swept = compared.swept
    if swept is not None and len(_series(compared, swept)) > len(COLORS):
        swept = None  # lines that no colour tells apart
    drawn = [
        number
        for number in compared.found.numbers
        if len({over(group, number) for group in rows} - {None}) > 1
    ]
    for start in range(0, len(drawn), _PANELS):
        some = drawn[start : start + _PANELS]
        against = "" if swept is None else f" against {_words(swept)}"
        blocks.append(
            Figure(
                f"{_FIGURE}-{start // _PANELS + 1}",
                lines_of_rows(compared, some, swept) if swept else dots_of_rows(compared, some),
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


def _scale(panel: Axes, values: Sequence[float], ticks: int) -> None:
    """A logarithmic axis for positive values of more than a decade."""
    if min(values) > 0 and max(values) > 10 * min(values):
        panel.set_xscale("log")
    else:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=ticks))


def _label(words: Sequence[str]) -> str:
    return ", ".join(word for word in words if word != MISSING)


def _words(name: str) -> str:
    return name.replace("_", " ")
