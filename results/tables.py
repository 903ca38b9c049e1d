"""Commit what a run found, and write the README's tables and the gallery from what is committed.

    python results/tables.py RUN_DIR ...    keep these finished runs of default configurations
    python results/tables.py                write README.md and docs/gallery.md from results/

A run is kept as observations.csv, results.json, config.json and environment.json in results/NAME,
its main figure as docs/gallery/NAME.png.
"""

import json
import shlex
import shutil
import sys
from pathlib import Path

from cnnjax.launch.experiments import EXPERIMENTS, Experiment, experiment_files, import_experiment
from cnnjax.report import Table, format_summary, over
from cnnjax.report.findings import name_of
from cnnjax.report.table import table_markdown
from cnnjax.run.cells import SEED
from cnnjax.run.observations import Observations

RESULTS = Path(__file__).resolve().parent
ROOT = RESULTS.parent
GALLERY = ROOT / "docs" / "gallery"
HEADLINES = {
    "equivariance": {
        f"trained {training}, accuracy, {test} images (%)": (
            f"accuracy_{test}",
            100,
            {"training": training},
        )
        for training in ("centred", "translated")
        for test in ("centred", "translated")
    },
    "borders": {
        "accuracy, halves as in training (%)": ("accuracy_similar", 100),
        "accuracy, halves swapped (%)": ("accuracy_dissimilar", 100),
    },
    "shift_invariance": {
        f"consistency beyond chance, {name} shifts (%)": (f"after.{name}.kappa", 100)
        for name in ("circular", "crop")
    },
    "lie_derivative": {
        f"change of logits, translation {way} by 1 % (% of another image)": (
            f"after.{way}.change",
            1,
        )
        for way in ("down", "right")
    },
    "rotation": {"test error (%)": ("error", 100)},
    "learned_invariance": {"accuracy at any angle (%)": ("accuracy_rotated", 100)},
    "augmentation": {
        "accuracy (%); of the angle, chance 12.5 %": ("accuracy", 100),
        "accuracy, moved digits, grey beyond the border (%)": ("accuracy_moved.grey", 100),
        "accuracy, moved digits, zeros beyond the border (%)": ("accuracy_moved.zeros", 100),
    },
    "segmentation": {
        "intersection over union of the digits, last estimate (%)": ("final.foreground_iou", 100)
    },
}
"""The README's numbers: by study and heading, the name of a number in observations.csv, its scale,
and the values of factors that select its rows, where not all count."""

FIGURES = {
    "equivariance": "error_against_shift",
    "borders": "accuracy",
    "shift_invariance": "consistency",
    "lie_derivative": "layers_right",
    "rotation": "error",
    "learned_invariance": "largest_response",
    "augmentation": "cue",
    "segmentation": "estimates",
}
"""The main figure of each study."""

KEPT = ("observations.csv", "results.json", "config.json", "environment.json")


def keep(directory: Path) -> None:
    """Copy what a finished run found to results/NAME, and its main figure to the gallery.

    Raises:
      ValueError: the run is not finished, or not of a default configuration.
    """
    if not (directory / "done").is_file():
        raise ValueError(f"{directory} must be a finished run, but has no file 'done'.")
    environment = json.loads((directory / "environment.json").read_text("utf-8"))
    name = shlex.split(environment["command"])[2]
    (RESULTS / name).mkdir(exist_ok=True)
    for file in KEPT:
        shutil.copyfile(directory / file, RESULTS / name / file)
    GALLERY.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(directory / "figures" / f"{FIGURES[name]}.png", GALLERY / f"{name}.png")


def studies() -> list[Experiment]:
    """The experiments whose results are committed."""
    names = [path.stem for path in experiment_files(EXPERIMENTS)]
    return [
        import_experiment(name, EXPERIMENTS)
        for name in names
        if (RESULTS / name / "observations.csv").is_file()
    ]


def headline_rows(study: Experiment) -> list[list[str]]:
    """Rows of the README's table: study, quantity, seeds, and the number of every condition."""
    found = Observations.read(RESULTS / study.name)
    rows = []
    for heading, (number, scale, *selection) in HEADLINES[study.name].items():
        cells = []
        selected = {name: value for chosen in selection for name, value in chosen.items()}
        by = [name for name in found.factors if name not in (SEED, *selected)]
        for key, group in found.where(**selected).groups(*by).items():
            summary = over(group, number) if number in group.numbers else None
            if summary is not None:
                values = key if isinstance(key, tuple) else (key,)
                names = getattr(study.module, "NAMES", {})
                words = ", ".join(name_of(value, names) for value in values if value is not None)
                cells.append(f"{words} {format_summary(summary, scale)}")
        rows.append([study.name, heading, str(len(found.seeds)), "; ".join(cells)])
    return rows


def table() -> str:
    """The README's table of all studies, in Markdown."""
    rows = [row for study in studies() for row in headline_rows(study)]
    return table_markdown(
        Table(["study", "quantity", "seeds", "mean ± 95 % interval over seeds"], rows)
    )


def gallery() -> str:
    """docs/gallery.md: question, figure, numbers, command and provenance of every study."""
    parts = ["# Gallery", "Made by `python results/tables.py` from the files in `results/`."]
    for study in studies():
        environment = json.loads((RESULTS / study.name / "environment.json").read_text("utf-8"))
        question = (study.module.__doc__ or "").splitlines()[0]
        parts += [
            f"## {study.name}",
            question,
            f"![{question}](gallery/{study.name}.png)",
            table_markdown(
                Table(
                    ["quantity", "seeds", "mean ± 95 % interval over seeds"],
                    [row[1:] for row in headline_rows(study)],
                )
            ),
            f"```bash\n{environment['command']}\n```",
            f"Commit {environment['commit']}, jax {environment['packages']['jax']}, Python "
            f"{environment['python']}, {environment['system']}, {environment['cpu_count']} cores, "
            f"started {environment['started']}.",
        ]
    return "\n\n".join(parts) + "\n"


def with_table(readme: str) -> str:
    """The README with the table between its two marks."""
    before, _, rest = readme.partition("<!-- studies -->")
    _, _, after = rest.partition("<!-- /studies -->")
    return f"{before}<!-- studies -->\n\n{table()}\n\n<!-- /studies -->{after}"


def main(directories: list[str]) -> None:
    """Keep runs, or write what is made of the kept ones."""
    for directory in directories:
        keep(Path(directory))
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text("utf-8")), "utf-8")
    (ROOT / "docs" / "gallery.md").write_text(gallery(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
