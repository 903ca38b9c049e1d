"""The committed results: what the README and the gallery show, and that the code still finds it."""

import dataclasses
import importlib.util
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cnnjax.launch.command_line import parse
from cnnjax.launch.experiments import EXPERIMENTS, import_experiment
from cnnjax.run.config import from_json
from cnnjax.run.learning_rates import chosen_rates, rate_factors
from cnnjax.run.observations import Observations
from cnnjax.run.process import ShareObserved
from cnnjax.run.record import Record

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
STUDIES = sorted(path.parent.name for path in RESULTS.glob("*/observations.csv"))
TUNED = sorted(path.parents[1].name for path in RESULTS.glob("*/tuning/observations.csv"))


@pytest.fixture(scope="module")
def tables():
    """The script that writes the README's table and the gallery."""
    spec = importlib.util.spec_from_file_location("results_tables", RESULTS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.fast
def test_readme_and_gallery_are_made_from_the_committed_results(tables):
    readme = (ROOT / "README.md").read_text("utf-8")
    assert tables.with_overview(readme) == readme
    assert (ROOT / "docs" / "gallery.md").read_text("utf-8") == tables.gallery()


@pytest.mark.fast
def test_every_study_has_an_entry_with_its_figure_numbers_and_command():
    gallery = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    entries = dict(re.findall(r"(?ms)^## (\w+)\n(.*?)(?=^## |\Z)", gallery))
    studies = {path.stem for path in (ROOT / "experiments").glob("*.py")} - {"__init__"}
    assert set(entries) == studies
    for name, entry in entries.items():
        (command,) = re.findall(r"(?ms)^```bash\n(.*?)\n```", entry)
        _, _, study, *words = shlex.split(command)
        experiment = import_experiment(name, EXPERIMENTS)
        assert study == name
        assert isinstance(parse(experiment, words).config, experiment.config_class)
        if name in STUDIES:
            assert f"](gallery/{name}.png)" in entry
            assert (ROOT / "docs" / "gallery" / f"{name}.png").is_file()
            committed = {text for row in numbers(entry) for text in row}
            assert any(re.match(r"\d", text) for text in committed)


def numbers(entry):
    """The rows of the table of an entry, without its heading."""
    lines = [line for line in entry.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.fast
def test_the_gallery_has_a_row_for_each_condition_and_a_column_for_each_headline(
    tables, tmp_path, monkeypatch
):
    """By hand: two borders, two seeds."""
    (tmp_path / "borders").mkdir()
    (tmp_path / "borders" / "observations.csv").write_text(
        "border,seed,accuracy_similar,accuracy_dissimilar\n"
        "valid,0,0.5,0.25\nvalid,1,0.75,0.25\nsame,0,1,0\nsame,1,1,0\n"
    )
    (tmp_path / "borders" / "results.json").write_text('{"test_examples": 1234}')
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    found = tables.study_table(import_experiment("borders", EXPERIMENTS))
    assert found.columns[0] == "border"
    assert [row[0] for row in found.rows] == ["valid", "same"]
    shown = {column: [row[n] for row in found.rows] for n, column in enumerate(found.columns)}
    assert shown["accuracy, halves as in training (%)"] == ["62.5", "100"]
    assert shown["accuracy, halves swapped (%)"] == ["25.0", "0"]
    assert found.caption == "Numbers: mean over 2 seeds; test set of 1,234 images."


@pytest.mark.fast
def test_a_level_that_some_seeds_did_not_reach_has_no_mean(tables):
    rows = [{"seed": 0, "needed.90": 100.0, "other": 3.0}, {"seed": 1, "other": None}]
    group = Observations(rows, ("seed",))
    assert tables.cell(group, "needed.90", 1) == "1 of 2 seeds"
    assert tables.cell(group, "other", 1) == "3.00"


@pytest.mark.fast
def test_a_kept_run_keeps_its_finding_and_its_figure(tables, tmp_path, monkeypatch):
    run, results = tmp_path / "run", tmp_path / "results"
    results.mkdir()
    with pytest.raises(ValueError, match="finished run"):
        tables.keep(run)
    run.mkdir()
    page = "# A question?\n\n**Digits \\*all\\* correct.**\n\nFurther text, **not the lead**.\n"
    page += "\n![Other.](figures/other.png)\n\nOther.\n"
    page += f"\n![B.](figures/{tables.FIGURES['borders']}.png)\n\nBars \\*of\\* borders.\n\nText.\n"
    (run / "report.md").write_text(page)
    (run / "done").touch()
    command = "python launch.py borders --workdir /home/me/run --seeds 1 2 --resume"
    environment = {"command": command, "resumed": [{"command": command, "commit": "f"}]}
    (run / "environment.json").write_text(json.dumps(environment))
    for name in ("observations.csv", "results.json", "config.json"):
        (run / name).write_text("{}")
    (run / "figures").mkdir()
    (run / "figures" / f"{tables.FIGURES['borders']}.png").write_bytes(b"PNG")
    monkeypatch.setattr(tables, "RESULTS", results)
    monkeypatch.setattr(tables, "GALLERY", tmp_path / "gallery")
    tables.keep(run)
    assert (results / "borders" / "finding.md").read_text() == "Digits \\*all\\* correct.\n"
    assert (results / "borders" / "caption.md").read_text() == "Bars \\*of\\* borders.\n"
    assert (tmp_path / "gallery" / "borders.png").read_bytes() == b"PNG"
    command = "python launch.py borders --seeds 1 2"
    assert tables.command(import_experiment("borders", EXPERIMENTS)) == command
    kept = json.loads((results / "borders" / "environment.json").read_text("utf-8"))
    assert kept == {"command": command, "resumed": [{"command": command, "commit": "f"}]}


@pytest.mark.fast
def test_no_committed_file_of_a_run_names_a_folder_of_its_machine():
    for file in RESULTS.rglob("*.json"):
        assert not re.search(r"""[ "'=](/|~|[A-Z]:\\\\)\w""", file.read_text("utf-8")), file


@pytest.mark.fast
@pytest.mark.parametrize("name", STUDIES)
def test_a_committed_result_says_where_it_comes_from(name):
    environment = json.loads((RESULTS / name / "environment.json").read_text("utf-8"))
    assert re.fullmatch("[0-9a-f]{40}", environment["commit"])
    assert environment["dirty"] is False
    assert environment["command"].startswith(f"python launch.py {name}")
    config = json.loads((RESULTS / name / "config.json").read_text("utf-8"))
    experiment = import_experiment(name, EXPERIMENTS)
    data_dir = {"data_dir": None} if "data_dir" in config else {}
    kept = from_json(experiment.config_class, {**config, **data_dir})
    assert kept == experiment.presets["default"]


class OneCell(Record):
    """A record that asks for one cell, and ends there."""

    cell: str = ""

    def each(self, **factors):
        """The one cell, if it is in this grid."""
        for cell in super().each(**factors):
            if cell.name == self.cell:
                yield cell
                raise ShareObserved

    def observations(self):
        """The cell was in no grid."""
        raise AssertionError(f"There is no cell {self.cell!r}.")


# The cheapest cell of each study, and how far its numbers may be off: another processor rounds
# otherwise, and training makes more of it.
CELLS = {
    "equivariance": ("standard none seed 0", {"error.conv2": 1e-4, "accuracy_centred": 0.01}),
}
# As little as can be of what else is measured there, on which none of these numbers depends.
FEW = {"equivariance": {"logit_images": 2, "translations": 1}}
SLOW_CELLS = {
    "borders": ("valid seed 0", {"accuracy_similar": 0.02, "accuracy_dissimilar": 0.02}),
    "shift_invariance": (
        "max circular max seed 0",
        {"accuracy": 0.04, "before.circular.consistency": 0.02},
    ),
    "lie_derivative": ("max seed 0", {"accuracy": 0.04, "before.right.derivative": 1e-3}),
    "learned_invariance": ("detectors 1 upright seed 0", {"accuracy_rotated": 0.04}),
    "augmentation": ("cue zeros seed 0", {"accuracy": 0.05}),
    "initialisation": ("conv right none adam seed 0", {"accuracy": 0.04}),
    "augmentation_ranges": (
        "rotation 0.05 narrow 90.0 seed 0",
        {"half_width.rotation": 1.0, "accuracy": 0.02},
    ),
    "segmentation": ("single seed 0", {"after1.foreground_iou": 0.1}),
}


def again(name, cell, tolerances, directory):
    """Observe one cell anew, and compare it with the committed observation."""
    experiment = import_experiment(name, EXPERIMENTS)
    config = dataclasses.replace(experiment.presets["default"], **FEW.get(name, {}))
    OneCell.cell = cell
    record = OneCell.open(directory, config)
    with pytest.raises(ShareObserved):
        experiment.module.run(config, record)
    record.release()
    (found,) = Observations.read(directory).rows
    committed = Observations.read(RESULTS / name)
    (expected,) = committed.where(**{f: found[f] for f in committed.factors if f in found}).rows
    for number, tolerance in tolerances.items():
        np.testing.assert_allclose(found[number], expected[number], atol=tolerance, err_msg=number)


@pytest.mark.fast
@pytest.mark.parametrize("name", TUNED)
def test_the_learning_rates_of_a_study_are_those_that_its_tuning_run_chose(name):
    found = Observations.read(RESULTS / name / "tuning")
    config = json.loads((RESULTS / name / "tuning" / "config.json").read_text("utf-8"))
    default = import_experiment(name, EXPERIMENTS).presets["default"]
    data_dir = {"data_dir": None} if "data_dir" in config else {}
    tuned = from_json(type(default), {**config, **data_dir})
    assert tuned.tune
    # Chosen for what the default trains, with seeds that it does not have.
    kept = {"tune": False, "rate_factors": default.rate_factors}
    kept |= {"tuning_seeds": default.tuning_seeds}
    assert dataclasses.replace(tuned, **kept) == default
    assert set(found.seeds) == set(tuned.tuning_seeds)
    assert not set(found.seeds) & set(default.seeds)
    chosen = rate_factors(chosen_rates(found), default.train.learning_rate)
    assert default.rate_factors == chosen


@pytest.mark.parametrize("name", [name for name in CELLS if name in STUDIES])
def test_a_small_cell_is_found_again(name, tmp_path):
    again(name, *CELLS[name], tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SLOW_CELLS if name in STUDIES])
def test_a_trained_cell_is_found_again(name, tmp_path):
    again(name, *SLOW_CELLS[name], tmp_path / "run")
