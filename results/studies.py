"""Writes the README's table of the studies from the results of their default runs.

python results/studies.py                                 from the committed results
python results/studies.py NAME RUN_DIR/results.json       from a new run of a study, kept here
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cnnjax.report.learned_invariance import name_of
from cnnjax.report.table import Table, format_summary, table_markdown
from cnnjax.run.statistics import Summary

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PICTURES = ("samples", "shown", "pooling")
"""What only the figures of a report need, which is most of a file."""

Line = tuple[str, str, dict[str, Any]]
"""Of whom, which quantity, and its summary in parts of one."""


def borders(results: dict) -> Iterator[Line]:
    """Accuracy where the class was in training, and with the halves of the image swapped."""
    for row in results["rows"]:
        yield row["border"], "right, as in training (%)", row["accuracy_similar"]
        yield row["border"], "right, halves swapped (%)", row["accuracy_dissimilar"]


def shift_invariance(results: dict) -> Iterator[Line]:
    """How often two shifts of an image get the same class."""
    for row in results["rows"]:
        yield row["downsampling"], "consistent under shifts (%)", row["consistency_after"]


def lie_derivative(results: dict) -> Iterator[Line]:
    """How much the logits change when the image moves by its width, linearly."""
    for row in results["rows"]:
        change = {
            name: value and value / 100 if name != "n" else value
            for name, value in row["after"]["right"]["whole"].items()
        }
        yield row["network"], "change of logits, move by 1 % (%)", change


def rotation(results: dict) -> Iterator[Line]:
    """Test errors."""
    for row in results["rows"]:
        yield row["network"], "test error (%)", row["error"]


def learned_invariance(results: dict) -> Iterator[Line]:
    """Accuracy on digits turned by any angle, after training on such."""
    for row in results["rows"]:
        if row["train_data"] == "turned":
            yield name_of(row), "right, turned digits (%)", row["accuracy_turned"]


def augmentation(results: dict) -> Iterator[Line]:
    """What the corners give away, and what is gained on digits that are moved a little."""
    for row in results["cues"]:
        yield f"{row['fill']} on {row['ground']}", "angle told (%), chance 12.5", row["accuracy"]
    for row in results["digits"]:
        if row["fill"] == "grey":
            yield row["kind"], "right, moved digits (%)", row["accuracy_moved"]


def segmentation(results: dict) -> Iterator[Line]:
    """Overlap after each iteration, of networks that make one and several."""
    for row in results["rows"]:
        for number, after in enumerate(row["after"], start=1):
            who = f"after {number} of {row['iterations']}"
            yield who, "intersection over union of the digits (%)", after["digits_iou"]


STUDIES: dict[str, Callable[[dict], Iterator[Line]]] = {
    "borders": borders,
    "shift_invariance": shift_invariance,
    "lie_derivative": lie_derivative,
    "rotation": rotation,
    "learned_invariance": learned_invariance,
    "augmentation": augmentation,
    "segmentation": segmentation,
}


def table(kept: dict[str, dict]) -> str:
    """The table of the README, in Markdown: a row for each study and quantity."""
    rows = []
    for name, lines in STUDIES.items():
        results = kept[name]
        told: dict[str, list[str]] = {}
        for who, what, summary in lines(results):
            value = format_summary(Summary(**summary), 100, "std")
            told.setdefault(what, []).append(f"{who} {value}")
        for what, values in told.items():
            rows.append([name, str(len(results["seeds"])), what, "; ".join(values)])
    return table_markdown(Table(["study", "seeds", "quantity", "mean ± standard deviation"], rows))


def read() -> dict[str, dict]:
    """The committed results by study."""
    return {
        name: json.loads((HERE / "studies" / f"{name}.json").read_text(encoding="utf-8"))
        for name in STUDIES
    }


def main() -> None:
    """Keep, read, write."""
    if len(sys.argv) > 1:
        name, source = sys.argv[1:]
        results = json.loads(Path(source).read_text(encoding="utf-8"))
        kept = {key: value for key, value in results.items() if key not in PICTURES}
        (HERE / "studies").mkdir(exist_ok=True)
        (HERE / "studies" / f"{name}.json").write_text(json.dumps(kept) + "\n", encoding="utf-8")
    readme = ROOT / "README.md"
    text = re.sub(
        r"(?s)(<!-- studies -->\n).*?(<!-- /studies -->)",
        lambda match: f"{match[1]}\n{table(read()).strip()}\n\n{match[2]}",
        readme.read_text(encoding="utf-8"),
    )
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
