"""--equivariance.every on a command line: the same run, with errors of every layer in its log."""

from pathlib import Path

import pytest

from cnnjax.launch.command_line import parse
from cnnjax.launch.experiments import EXPERIMENTS, import_experiment
from cnnjax.launch.main import main
from cnnjax.launch.sweep import points
from cnnjax.run.config import read_json
from cnnjax.run.metrics import EquivarianceLog, logged_errors, metrics_of

STUDIES = Path(__file__).resolve().parents[1] / "faults" / "experiments"
WORDS = ("--equivariance.every", "12", "--equivariance.transformations", "shift2", "flip")


def test_a_study_that_knows_nothing_of_it_logs_and_shows_it(tmp_path):
    for name, words in (("with", WORDS), ("without", ())):
        command = ["small", "smoke", "--workdir", str(tmp_path / name), *words]
        assert main(command, STUDIES) == 0
    found = logged_errors(metrics_of(tmp_path / "with"))
    assert list(found) == ["seed 0"]
    assert list(found["seed 0"]) == ["shift2", "flip"]
    for layers in found["seed 0"].values():
        assert list(layers) == ["Conv_0", "BatchNorm_0", "Dropout_0", "Dense_0", ""]
        assert {tuple(curve["steps"]) for curve in layers.values()} == {(0, 12, 24)}
    page = (tmp_path / "with" / "report.md").read_text("utf-8")
    assert "on the first 8 validation images; one seed." in page
    assert "| BatchNorm_0 " in page
    # All else is as without: the networks, the configuration, its name.
    assert logged_errors(metrics_of(tmp_path / "without")) == {}
    assert "Equivariance while" not in (tmp_path / "without" / "report.md").read_text("utf-8")
    for name in ("observations.csv", "config.json"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    both = (tmp_path / "with", tmp_path / "without")
    first, second = (read_json(each / "environment.json")["configuration"] for each in both)
    assert first == second
    first, second = (read_json(each / "results.json") for each in both)
    assert first.pop("equivariance_while_training") == found
    assert first == second


@pytest.mark.fast
def test_processes_of_a_run_or_a_sweep_are_told(tmp_path):
    study = import_experiment("small", STUDIES)
    (point,) = points(study, parse(study, ["smoke", *WORDS, "--equivariance.images", "4"]))
    again = parse(study, list(point.words[1:]))
    assert again.options.equivariance == EquivarianceLog(12, ("shift2", "flip"), 4)
    (plain,) = points(study, parse(study, ["smoke"]))
    assert (plain.directory, "equivariance" in " ".join(plain.words)) == (point.directory, False)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--equivariance.images", "4"], "images is given without --equivariance.every"),
        (["train", *WORDS[:3], "rotate45"], "shift4, rotate90, rotate180 or flip, got 'rotate45'"),
        (["card", *WORDS], "--equivariance.every is of experiments that train networks"),
    ],
)
def test_what_cannot_be_logged_is_one_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main([*words, "--workdir", str(tmp_path / "run")], EXPERIMENTS)
    assert error.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
