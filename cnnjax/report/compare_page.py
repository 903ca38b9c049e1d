"""A comparison of runs as a page and as CSV."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from cnnjax.report.compare import Row, Run
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.style import BLUE, DOUBLE_COLUMN, png, styled
from cnnjax.report.table import MISSING, Table, format_count, format_number, format_summary
from cnnjax.run.statistics import Summary

_PANELS = 3


def write_comparison(
    runs: Sequence[Run], rows: Sequence[Row], left_out: Sequence[str], directory: Path
) -> Path:
    """Write report.html, report.md, figures and table.csv; returns the path of the page.

    Args:
      runs: where the numbers come from.
      rows: what `compare` made of them.
      left_out: what was not compared, and why.
      directory: made if it is not there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "table.csv"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(csv_text(rows), encoding="utf-8")
    os.replace(temporary, path)
    return write_page("Comparison of runs", _blocks(runs, rows, left_out), directory)


def csv_text(rows: Sequence[Row]) -> str:
    """One line a row: its names; mean, std, n and the 95 % interval of each number; its runs."""
    names, values = _columns(rows)
    parts = ("mean", "std", "n", "low", "high")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*names, *(f"{value} {part}" for value in values for part in parts), "runs"])
    for row in rows:
        cells = [row.names.get(name, "") for name in names]
        for value in values:
            summary = row.values.get(value)
            if summary is None:
                cells += [""] * len(parts)
                continue
            low, high = summary.interval() or ("", "")
            std = "" if summary.std is None else repr(summary.std)
            cells += [repr(summary.mean), std, str(summary.n), str(low), str(high)]
        writer.writerow([*cells, " ".join(map(str, row.runs))])
    return buffer.getvalue()


def table(rows: Sequence[Row]) -> Table:
    """Names and numbers of each row, with the 95 % interval of the mean over seeds."""
    names, values = _columns(rows)
    whole = {value for value in values if _is_whole(value, rows)}
    return Table(
        [*(_words(name) for name in names), *(_words(value) for value in values), "seeds"],
        [
            [
                *(row.names.get(name, MISSING) for name in names),
                *(_cell(row.values.get(value), value in whole) for value in values),
                str(max((summary.n for summary in row.values.values()), default=0)),
            ]
            for row in rows
        ],
        "Mean ± half of the 95 % confidence interval over seeds (Student's t); numbers that are "
        "the same for every seed, or of one seed, stand alone.",
    )


@styled
def intervals(rows: Sequence[Row], values: Sequence[str]) -> Drawing:
    """A panel for each of the numbers: its mean in every row, whiskers the 95 % interval."""
    figure = Drawing(figsize=(DOUBLE_COLUMN, 0.21 * len(rows) + 0.75))
    panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for panel, value in zip(panels, values, strict=True):
        for line, row in enumerate(rows):
            summary = row.values.get(value)
            if summary is None:
                continue
            interval = summary.interval()
            if interval is not None:
                panel.plot(interval, [line, line], "|-", color=BLUE, markersize=4, linewidth=1.1)
            panel.plot(summary.mean, line, "o", color=BLUE, markersize=4.5)
        means = [row.values[value].mean for row in rows if value in row.values]
        if min(means) > 0 and max(means) > 10 * min(means):
            panel.set_xscale("log")
        else:
            panel.xaxis.set_major_locator(MaxNLocator(nbins=4))
        panel.grid(axis="y", linestyle=(0, (1, 2)), color="#bdbdbd")
        panel.set_title(_words(value), loc="left")
        panel.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(rows)), labels=[_label(row, rows) for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _blocks(runs: Sequence[Run], rows: Sequence[Row], left_out: Sequence[str]) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(f"{len(rows)} rows of {len(runs)} runs.", lead=True),
        table(rows),
    ]
    _, values = _columns(rows)
    drawn = [value for value in values if _varies(value, rows)]
    for start in range(0, len(drawn), _PANELS):
        some = drawn[start : start + _PANELS]
        shown = ", ".join(map(_words, some))
        blocks.append(
            Figure(
                f"intervals-{start // _PANELS + 1}",
                png(intervals(rows, some)),
                f"{shown}: mean over seeds, and its 95 % confidence interval.",
                f"Dots with whiskers for each row of the table: {shown}.",
            )
        )
    if left_out:
        blocks.append(Paragraph(f"Not compared: {'; '.join(left_out)}."))
    return [*blocks, Heading("Runs"), _provenance(runs)]


def _provenance(runs: Sequence[Run]) -> Table:
    def told(run: Run, key: str) -> str:
        value = run.environment.get(key)
        return MISSING if value is None else str(value)

    return Table(
        ["directory", "command", "commit", "changed since", "started"],
        [
            [
                str(run.directory),
                told(run, "command"),
                told(run, "commit")[:10],
                {"True": "yes", "False": "no"}.get(told(run, "dirty"), MISSING),
                told(run, "started"),
            ]
            for run in runs
        ],
        align=["left"] * 5,
    )


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Names that tell rows apart, and the numbers.

    A name that is the same in every row does not; nor one that another begins with in every row, as
    `tiled` beside `tiled(tile=2)`.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.names))
    telling = [name for name in names if len({row.names.get(name) for row in rows}) > 1]
    shown = [name for name in telling if not any(_begins(name, n, rows) for n in telling)]
    return shown or names, list(dict.fromkeys(value for row in rows for value in row.values))


def _begins(name: str, longer: str, rows: Sequence[Row]) -> bool:
    pairs = [(row.names.get(name, ""), row.names.get(longer, "")) for row in rows]
    return all(b.startswith(a) for a, b in pairs) and any(a != b for a, b in pairs)


def _varies(value: str, rows: Sequence[Row]) -> bool:
    return len({row.values.get(value) for row in rows} - {None}) > 1


def _is_whole(value: str, rows: Sequence[Row]) -> bool:
    return all(float(row.values[value].mean).is_integer() for row in rows if value in row.values)


def _cell(summary: Summary | None, whole: bool) -> str:
    if summary is None:
        return MISSING
    if not summary.std:
        return format_count(summary.mean) if whole else format_number(summary.mean)
    return format_summary(summary)


def _label(row: Row, rows: Sequence[Row]) -> str:
    names, _ = _columns(rows)
    text = ", ".join(row.names[name] for name in names if name in row.names)
    return text if len(text) <= 48 else f"{text[:47]}…"


def _words(name: str) -> str:
    return name.replace("_", " ")
