"""Writes the table and the picture of the README from a run's results.

python results/equivariance/table.py                       from the committed results
python results/equivariance/table.py RUN_DIR/results.json  from a new run, which is kept here
"""

import json
import re
import sys
from pathlib import Path

from cnnjax.report import figures
from cnnjax.report.equivariance import shift_panels
from cnnjax.report.table import Table, format_count, format_summary, table_markdown
from cnnjax.run.statistics import Summary

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = HERE / "digits.json"


def table(results: dict) -> str:
    """The table of the README, in Markdown."""
    cells = []
    for row in results["rows"]:
        first, last = row["layers"][0], row["layers"][-2]
        cells.append(
            [
                row["label"],
                row["train_data"],
                str(first["measured_lattice"][1]),
                str(last["measured_lattice"][1]),
                format_summary(Summary(**row["accuracy_centred"]), 100, "std"),
                format_summary(Summary(**row["accuracy_translated"]), 100, "std"),
                format_count(row["params"]),
                format_count(row["multiply_adds"]),
            ]
        )
    columns = [
        "convolution",
        "trained on",
        "lattice, first layer",
        "lattice, last layer",
        "accuracy, centred (%)",
        "accuracy, translated (%)",
        "weights",
        "multiply-adds",
    ]
    return table_markdown(Table(columns, cells))


def without_maps(results: dict) -> dict:
    """The results without what only the maps of the report need, which is most of the file."""
    for row in results["rows"]:
        for layer in row["layers"]:
            for name in ("map_before_training", "map_after_training"):
                layer.pop(name, None)
    return results


def main() -> None:
    """Read, keep, write."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else KEPT
    results = without_maps(json.loads(source.read_text(encoding="utf-8")))
    KEPT.write_text(json.dumps(results) + "\n", encoding="utf-8")
    readme = ROOT / "README.md"
    text = re.sub(
        r"(?s)(<!-- table -->\n).*?(<!-- /table -->)",
        lambda match: f"{match[1]}\n{table(results).strip()}\n\n{match[2]}",
        readme.read_text(encoding="utf-8"),
    )
    readme.write_text(text, encoding="utf-8")
    picture = figures.error_against_shift(shift_panels(results["rows"], 0))
    (ROOT / "docs" / "error_against_shift.png").write_bytes(figures.png(picture, dpi=150))


if __name__ == "__main__":
    main()
