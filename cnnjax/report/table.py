"""Numbers in the digits that their intervals leave certain, and tables in HTML, Markdown, LaTeX."""

# Minus, times and dash are the signs of print, not the letters that look like them.

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnnjax.run.statistics import Summary

MISSING = "–"

LEAST = 3
"""Seeds from which on an interval is printed or drawn: two say too little about a spread."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": "$-$",
    "–": "--",
    "∞": r"$\infty$",
    "√": r"$\surd$",
    "°": r"$^\circ$",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "κ": r"$\kappa$",
    "λ": r"$\lambda$",
}
_RAISED = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
_NUMBER = re.compile(r"[+\-−±(<>≤≥~]?\s?[+\-−]?\d")


def format_number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits: '0.123', '12.3', '12,345', '1.40 × 10⁻⁷'.

    Whole digits are never rounded away below ten million; None gives a dash.
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    exponent = _exponent(value, digits)
    if not _plain(exponent):
        return f"{_fixed(value / 10.0**exponent, digits - 1)} {_power(exponent)}"
    return _fixed(value, max(0, digits - 1 - exponent))


def format_count(value: float | None, digits: int = 2) -> str:
    """A count with a decimal prefix: '950', '37 k', '1.2 M', '3.4 G'; None gives a dash."""
    if value is None:
        return MISSING
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"value must be finite and at least 0, got {value}.")
    for power, prefix in enumerate(("", " k", " M", " G", " T")):
        scaled = value / 1000.0**power
        whole = prefix == "" and scaled == int(scaled)
        decimals = 0 if whole else max(0, digits - 1 - _exponent(scaled, digits))
        if round(scaled, decimals) < 1000:
            break
    return f"{_fixed(scaled, decimals)}{prefix}"


def over_seeds(count: int) -> str:
    """What the numbers of a table are: 'mean ± 95 % interval over 3 seeds', 'one seed'."""
    if count == 1:
        return "one seed"
    return f"mean{' ± 95 % interval' if count >= LEAST else ''} over {count} seeds"


def counted(count: int, noun: str) -> str:
    """'1 seed', '3 seeds', '1,000 seeds'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(words: Iterable[Any]) -> str:
    """'1', '1 and 2', '1, 2 and 3'; '' for none."""
    *first, last = [*map(str, words)] or [""]
    return " and ".join(filter(None, [", ".join(first), last]))


def half_width(summary: Summary) -> float | None:
    """Half the length of `interval`."""
    return summary.half_width() if summary.n >= LEAST else None


def interval(summary: Summary) -> tuple[float, float] | None:
    """Ends of the 95 % interval of the mean; None for fewer than LEAST seeds, which show none."""
    return summary.interval() if summary.n >= LEAST else None


def format_summary(summary: Summary, scale: float = 1.0, *, digits: int = 3) -> str:
    """Mean ± half of the 95 % interval of `scale` times the values, in the digits that are certain.

    The half width is rounded to one significant digit (two when the first is 1), the mean to the
    same decimal: '96.4 ± 0.8', '(1.0 ± 0.2) × 10⁻⁷'. With fewer than LEAST seeds the mean stands
    alone; there, and where the interval is only rounding noise (a millionth of the mean), it has
    `digits` significant digits.
    """
    mean, width = summary.mean * scale, half_width(summary)
    if width is None:
        return format_number(mean, digits)
    width = abs(width * scale)
    if width <= 1e-6 * abs(mean):
        return f"{format_number(mean, digits)} ± 0"
    exponent = _exponent(max(abs(mean), width), digits)
    power = 0 if _plain(exponent) else exponent
    mean, width = mean / 10.0**power, width / 10.0**power
    decimals = _uncertain_decimals(width)
    text = f"{_fixed(mean, decimals)} ± {_fixed(width, decimals)}"
    return text if power == 0 else f"({text}) {_power(power)}"


def format_interval(mean: float, ends: tuple[float, float], scale: float = 1.0) -> str:
    """Mean and ends of an interval of `scale` times the values: '81 (78 to 83)'.

    In the digits that half of its length leaves certain, as `format_summary`.
    """
    mean, low, high = (scale * value for value in (mean, *ends))
    width = (high - low) / 2
    if width <= 1e-6 * max(abs(low), abs(high)):
        return f"{format_number(mean)} ({format_number(low)} to {format_number(high)})"
    decimals = _uncertain_decimals(width)
    return f"{_fixed(mean, decimals)} ({_fixed(low, decimals)} to {_fixed(high, decimals)})"


def format_contrast(change: Summary | None, scale: float = 1.0, decimals: int | None = None) -> str:
    """A contrast with its interval; a dash for None and for fewer than 3 seeds.

    With so many decimals; by default in the digits that are certain.
    """
    if change is None or change.n < LEAST:
        return MISSING
    if decimals is None:
        return format_summary(change, scale)
    half = change.half_width() or 0.0
    return f"{_fixed(scale * change.mean, decimals)} ± {_fixed(scale * half, decimals)}"


def _plain(exponent: int) -> bool:
    """Whether a number of this decimal exponent reads better without a power of ten."""
    return -4 <= exponent < 7


def _uncertain_decimals(width: float) -> int:
    """Decimals that leave one significant digit of `width`, two when the first of them is 1."""
    exponent = _exponent(width, 1)
    leading = round(width / 10.0**exponent, 1)
    return (1 if leading < 2 else 0) - exponent


def _exponent(value: float, digits: int) -> int:
    """Decimal exponent of `value` once rounded to so many significant digits (9.996 -> 1)."""
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):,.{max(0, decimals)}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.lstrip("-")


def _power(exponent: int) -> str:
    return f"× 10{str(exponent).translate(_SUPERSCRIPTS)}"


@dataclass(frozen=True)
class Table:
    """A table of text: `columns` are the headings, each row one cell per column.

    `align` holds 'left' or 'right' per column; by default a column whose filled cells all begin
    with a number is set right, every other left. Raises ValueError for a row of another length,
    a cell that is no text, or an unknown alignment.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    align: Sequence[Literal["left", "right"]] | None = None

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"columns must be at least one, got {self.columns!r}.")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} must have a cell for each of {list(self.columns)}, got "
                    f"{list(row)}."
                )
            for column, cell in zip(self.columns, row, strict=True):
                if not isinstance(cell, str):
                    raise ValueError(
                        f"the cell in row {number}, column {column!r} must be text, such as "
                        f"format_number makes, got {cell!r}."
                    )
        if self.align is not None and (
            len(self.align) != len(self.columns) or set(self.align) - {"left", "right"}
        ):
            raise ValueError(
                f"align must hold 'left' or 'right' for each of {len(self.columns)} columns, "
                f"got {list(self.align)}."
            )

    def alignments(self) -> list[str]:
        """'left' or 'right' for each column, as given or as its cells suggest."""
        if self.align is not None:
            return list(self.align)
        return [_suggest([row[i] for row in self.rows]) for i in range(len(self.columns))]


def _suggest(cells: list[str]) -> str:
    filled = [cell for cell in cells if cell not in ("", MISSING, "NaN", "∞", "−∞")]
    return "right" if filled and all(_NUMBER.match(cell) for cell in filled) else "left"


def table_html(table: Table) -> str:
    """The table as an HTML fragment without its caption: text escaped, alignment as a class."""
    alignments = table.alignments()
    lines = ["<table>"]
    lines.append(f"<thead>{_html_row('th', table.columns, alignments)}</thead>")
    lines.append("<tbody>")
    lines += [_html_row("td", row, alignments) for row in table.rows]
    lines += ["</tbody>", "</table>"]
    return "\n".join(lines)


def _html_row(tag: str, cells: Sequence[str], alignments: list[str]) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    marked = (
        f'<{tag}{scope} class="{align}">{html.escape(cell)}</{tag}>'
        for cell, align in zip(cells, alignments, strict=True)
    )
    return f"<tr>{''.join(marked)}</tr>"


def table_markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown, padded so that its source reads as a table too."""
    alignments = table.alignments()
    grid = [[escape_markdown(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(3, *(len(row[i]) for row in grid)) for i in range(len(table.columns))]
    rule = [
        "-" * width if align == "left" else "-" * (width - 1) + ":"
        for width, align in zip(widths, alignments, strict=True)
    ]
    padded = [
        [
            cell.ljust(width) if align == "left" else cell.rjust(width)
            for cell, width, align in zip(row, widths, alignments, strict=True)
        ]
        for row in grid
    ]
    lines = [f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:])]
    return "\n".join(lines + (["", escape_markdown(table.caption)] if table.caption else []))


def escape_markdown(text: str) -> str:
    """`text` on one line such that Markdown shows it as it is: no markup, no HTML, no new cell."""
    line = html.escape(" ".join(text.split()), quote=False)
    line = re.sub(r"([\\`*\[\]|#~$])", r"\\\1", line)
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    # A list marker: its last character is escaped.
    return re.sub(r"^(\d+(?=[.)])|(?=[-+=]))(.)(?=\s|$|[-=])", r"\1\\\2", line)


def table_latex(table: Table) -> str:
    """A table environment; its lines come from \\toprule, \\midrule, \\bottomrule of booktabs."""
    kinds = "".join(align[0] for align in table.alignments())
    head, *rows = [
        " & ".join(map(escape_latex, row)) + r" \\" for row in (table.columns, *table.rows)
    ]
    caption = [f"\\caption{{{escape_latex(table.caption)}}}"] if table.caption else []
    lines = [
        r"\begin{table}",
        r"\centering",
        *caption,
        f"\\begin{{tabular}}{{{kinds}}}",
        r"\toprule",
        head,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """`text` such that LaTeX prints it as it is."""
    raised = "".join(_RAISED)
    parts = re.split(f"([{raised}]+)", " ".join(text.split()))
    return "".join(
        f"$^{{{''.join(map(_RAISED.__getitem__, part))}}}$"
        if part and part[0] in _RAISED
        else "".join(_LATEX.get(letter, letter) for letter in part)
        for part in parts
    )
