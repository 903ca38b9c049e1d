"""Tables as LaTeX source, in the style of booktabs."""

import re

from cnnjax.report.table import Table

_SIGNS = {
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
        else "".join(_SIGNS.get(letter, letter) for letter in part)
        for part in parts
    )
