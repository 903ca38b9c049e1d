"""The committed results: what the README and the gallery show, and that the code still finds it."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

from cnnjax.launch.experiments import EXPERIMENTS, import_experiment
from cnnjax.run.config import from_json
from cnnjax.run.observations import Observations
from cnnjax.run.process import ShareObserved
from cnnjax.run.record import Record

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
STUDIES = sorted(path.parent.name for path in RESULTS.glob("*/observations.csv"))


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
    assert tables.with_table(readme) == readme
    assert (ROOT / "docs" / "gallery.md").read_text("utf-8") == tables.gallery()
    (shown,) = re.findall(r"(?ms)<!-- studies -->\n(.*?)<!-- /studies -->", readme)
    assert {line.split("|")[1].strip() for line in shown.splitlines()[3:] if line} == set(STUDIES)


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
SLOW_CELLS = {
    "borders": ("valid seed 0", {"accuracy_similar": 0.02, "accuracy_dissimilar": 0.02}),
    "shift_invariance": (
        "max circular max seed 0",
        {"accuracy": 0.04, "before.circular.consistency": 0.02},
    ),
    "lie_derivative": ("max seed 0", {"accuracy": 0.04, "before.right.derivative": 1e-3}),
    "learned_invariance": ("detectors 1 upright seed 0", {"accuracy_rotated": 0.04}),
    "augmentation": ("cue zeros seed 0", {"accuracy": 0.05}),
    "segmentation": ("single seed 0", {"after1.foreground_iou": 0.1}),
}


def again(name, cell, tolerances, directory):
    """Observe one cell anew, and compare it with the committed observation."""
    experiment = import_experiment(name, EXPERIMENTS)
    config = experiment.presets["default"]
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


@pytest.mark.parametrize("name", [name for name in CELLS if name in STUDIES])
def test_a_small_cell_is_found_again(name, tmp_path):
    again(name, *CELLS[name], tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SLOW_CELLS if name in STUDIES])
def test_a_trained_cell_is_found_again(name, tmp_path):
    again(name, *SLOW_CELLS[name], tmp_path / "run")
