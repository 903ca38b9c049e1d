"""Commit what a run found, and write the README's list and the gallery from what is committed.

    python results/tables.py RUN_DIR ...    keep these finished runs of default configurations
    python results/tables.py                write README.md and docs/gallery.md from results/

A run is kept as observations.csv, results.json, config.json and environment.json in results/NAME,
the lead of its page as finding.md, its main figure as docs/gallery/NAME.png, that figure's caption
as caption.md; a run with --tune in results/NAME/tuning.
"""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from cnnjax.launch.experiments import EXPERIMENTS, Experiment, experiment_files, import_experiment
from cnnjax.report import MISSING, Table, format_summary, name_of, over, over_seeds, reached
from cnnjax.report.table import escape_markdown, table_markdown
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
        "accuracy (%)": ("accuracy", 100),
        **{
            f"change of logits (%), translation {way} by 1 %": (f"after.{way}.change", 1)
            for way in ("down", "right")
        },
    },
    "weight_sharing": {
        **{f"images shown to {level} %": (f"needed.{level}", 1) for level in (80, 90)},
        "accuracy at the end (%)": ("accuracy", 100),
    },
    "rotation": {"test error (%)": ("error", 100)},
    "learned_invariance": {"accuracy at any angle (%)": ("accuracy_rotated", 100)},
    "partial_symmetry": {"accuracy (%)": ("accuracy", 100)},
    "data_or_architecture": {
        f"kappa, shifts {word}, {classes} (%)": (
            f"shift.{reach}.{which}.kappa",
            100,
            {"moved": "these"},
        )
        for reach, word in (("in", "in range"), ("beyond", "beyond"))
        for which, classes in (("moved", "moved classes"), ("never", "classes never moved"))
    },
    "augmentation": {
        "accuracy (%); of the angle, chance 12.5 %": ("accuracy", 100),
        "accuracy, moved digits, grey beyond the border (%)": ("accuracy_moved.grey", 100),
        "accuracy, moved digits, zeros beyond the border (%)": ("accuracy_moved.zeros", 100),
    },
    "initialisation": {
        f"accuracy, {words} (%)": ("accuracy", 100, {"optimizer": optimizer})
        for optimizer, words in (("adam", "Adam"), ("sgd", "SGD"))
    },
    "augmentation_ranges": {
        "learned half-width of rotations (degrees)": ("half_width.rotation", 1),
        "half-width minus 90 - a (degrees)": ("excess", 1),
    },
    "segmentation": {
        "intersection over union of the digits, last estimate (%)": ("final.foreground_iou", 100)
    },
}
"""The gallery's numbers: by study and heading, the name of a number in observations.csv, its scale,
and the values of factors that select its rows, where not all count."""

FIGURES = {
    "equivariance": "error_against_shift",
    "borders": "accuracy",
    "shift_invariance": "consistency",
    "lie_derivative": "layers_right",
    "rotation": "error",
    "weight_sharing": "price",
    "learned_invariance": "largest_response",
    "initialisation": "differences",
    "partial_symmetry": "accuracy",
    "data_or_architecture": "shift",
    "augmentation": "cue",
    "augmentation_ranges": "half_width",
    "segmentation": "estimates",
}
"""The main figure of each study."""

KEPT = ("observations.csv", "results.json", "config.json", "environment.json")
FINDING, CAPTION = "finding.md", "caption.md"
BUDGETED = "needed."
"""Begins the names of numbers that a network has only if it reached a level within its budget."""
OF_ONE_RUN = {"--workdir": 1, "--resume": 0, "--overwrite": 0, "--workers": 1}
"""Options that change no number, with how many words follow them."""


def keep(directory: Path) -> None:
    """Copy what a finished run found to results/NAME, and its main figure to the gallery.

    Raises:
      ValueError: the run is not finished.
    """
    if not (directory / "done").is_file():
        raise ValueError(f"{directory} must be a finished run, but has no file 'done'.")
    environment = json.loads((directory / "environment.json").read_text("utf-8"))
    name = shlex.split(environment["command"])[2]
    tuning = json.loads((directory / "config.json").read_text("utf-8")).get("tune", False)
    folder = RESULTS / name / "tuning" if tuning else RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in KEPT:
        shutil.copyfile(directory / file, folder / file)
    kept = json.dumps(without_own_options(environment), indent=2)
    (folder / "environment.json").write_text(kept + "\n", "utf-8")
    if tuning:
        return
    GALLERY.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(directory / "figures" / f"{FIGURES[name]}.png", GALLERY / f"{name}.png")
    page = (directory / "report.md").read_text("utf-8")
    for file, text in zip((FINDING, CAPTION), told(page, FIGURES[name]), strict=True):
        (RESULTS / name / file).write_text(text + "\n", "utf-8")


def without_own_options(environment: Any) -> Any:
    """An environment whose commands, those of continued runs too, lack options of one run alone."""
    if isinstance(environment, list):
        return [without_own_options(each) for each in environment]
    if not isinstance(environment, dict):
        return environment
    kept = {name: without_own_options(value) for name, value in environment.items()}
    if "command" not in kept:
        return kept
    words, left = iter(shlex.split(kept["command"])), []
    for word in words:
        if word in OF_ONE_RUN:
            for _ in range(OF_ONE_RUN[word]):
                next(words)
        else:
            left.append(word)
    return kept | {"command": shlex.join(left)}


def told(page: str, figure: str) -> tuple[str, str]:
    """The lead of a page in Markdown, its first bold paragraph, and the caption of a figure.

    Raises:
      ValueError: a page without one of them.
    """
    lead = re.search(r"(?m)^\*\*(.+)\*\*$", page)
    below = re.search(rf"(?m)^!\[.*\]\(figures/{figure}\.png\)\n\n(.+)$", page)
    if not (lead and below):
        raise ValueError(
            f"`page` must have a lead in bold, and the figure {figure!r} with a caption."
        )
    return lead[1], below[1]


def experiments() -> list[Experiment]:
    """All experiments, those whose results are committed first."""
    names = [path.stem for path in experiment_files(EXPERIMENTS) if path.parent == EXPERIMENTS]
    names.sort(key=lambda name: (not is_committed(name), name))
    return [import_experiment(name, EXPERIMENTS) for name in names]


def is_committed(name: str) -> bool:
    """Whether the observations of this study are in results/."""
    return (RESULTS / name / "observations.csv").is_file()


def question(study: Experiment) -> str:
    """The question of a study: the first line of its docstring."""
    return (study.module.__doc__ or "").splitlines()[0]


def study_table(study: Experiment) -> Table:
    """A row for each condition of a study, a column for each of its headlines."""
    found = Observations.read(RESULTS / study.name)
    headlines = {heading: (*entry, {})[:3] for heading, entry in HEADLINES[study.name].items()}
    selected = {name for _, _, rows in headlines.values() for name in rows}
    by = [name for name in found.factors if name not in (SEED, *selected)]
    names = getattr(study.module, "NAMES", {})
    rows = []
    for key in found.groups(*by):
        values = key if len(by) > 1 else (key,)
        condition = dict(zip(by, values, strict=True))
        cells = [
            cell(found.where(**condition, **rows_of), number, scale)
            for number, scale, rows_of in headlines.values()
        ]
        if set(cells) != {MISSING}:
            rows.append([*(name_of(value, names) for value in values), *cells])
    columns = [*(name.replace("_", " ") for name in by), *headlines]
    align = ["left"] * len(by) + ["right"] * len(headlines)
    facts = json.loads((RESULTS / study.name / "results.json").read_text("utf-8"))
    tests = f"; test set of {facts['test_examples']:,} images" if "test_examples" in facts else ""
    said = f"Numbers: {over_seeds(len(found.seeds))}{tests}."
    return Table(columns, rows, said, align=align)


def cell(group: Observations, number: str, scale: float) -> str:
    """A number of a condition over seeds; a dash where it has none."""
    if number.startswith(BUDGETED):
        return reached(group, number, scale)
    summary = over(group, number) if number in group.numbers else None
    return MISSING if summary is None else format_summary(summary, scale)


def command(study: Experiment) -> str:
    """The command of a study: the one of its committed run, else the first of its docstring."""
    if is_committed(study.name):
        return _environment(study)["command"]
    text = study.module.__doc__ or ""
    (first, *_) = re.findall(rf"(?m)^ +(python launch\.py {study.name}\b.*?)(?:  .*)?$", text)
    return first.replace(" DIR", " data/tensorflow_datasets")


def overview() -> str:
    """The README's list of all experiments, in Markdown: name and question."""
    return "\n".join(
        f"- [{study.name}](docs/gallery.md#{study.name}): {question(study)}"
        for study in experiments()
    )


def gallery() -> str:
    """docs/gallery.md: for every study question, finding, figure, numbers, command, provenance."""
    parts = [
        "# Gallery",
        "Every study of `experiments/`, with what its default run found where that is committed. "
        "This page is made by `python results/tables.py` from the files in `results/`, which hold "
        "every number of every network, with configuration, commit and environment. An interval is "
        "of the mean over seeds, on the same test images; of fewer than three seeds there is none.",
    ]
    for study in experiments():
        parts += [
            f"## {study.name}",
            f"*{escape_markdown(question(study))}*",
            *(found(study) if is_committed(study.name) else not_found(study)),
        ]
    return "\n\n".join(parts) + "\n"


def found(study: Experiment) -> list[str]:
    """What the committed run of a study found, in paragraphs of Markdown."""
    lead, below = (RESULTS / study.name / file for file in (FINDING, CAPTION))
    environment = _environment(study)
    return [
        *([lead.read_text("utf-8").strip()] if lead.is_file() else []),
        f"![Main figure of {study.name}](gallery/{study.name}.png)",
        *([below.read_text("utf-8").strip()] if below.is_file() else []),
        table_markdown(study_table(study)),
        f"```bash\n{command(study)}\n```",
        f"Commit {environment['commit'][:12]}, jax {environment['packages']['jax']}, Python "
        f"{environment['python']}, {environment['system']}, {environment['cpu_count']} cores, "
        f"started {environment['started'][:10]}.",
    ]


def not_found(study: Experiment) -> list[str]:
    """What stands in the place of a result that is not committed."""
    return [
        "No result of its default run is committed.",
        f"```bash\n{command(study)}\n```",
    ]


def with_overview(readme: str) -> str:
    """The README with the list of experiments between its two marks."""
    before, _, rest = readme.partition("<!-- studies -->")
    _, _, after = rest.partition("<!-- /studies -->")
    return f"{before}<!-- studies -->\n\n{overview()}\n\n<!-- /studies -->{after}"


def _environment(study: Experiment) -> dict[str, Any]:
    return json.loads((RESULTS / study.name / "environment.json").read_text("utf-8"))


def main(directories: list[str]) -> None:
    """Keep runs, or write what is made of the kept ones."""
    for directory in directories:
        keep(Path(directory))
    readme = ROOT / "README.md"
    readme.write_text(with_overview(readme.read_text("utf-8")), "utf-8")
    (ROOT / "docs" / "gallery.md").write_text(gallery(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
