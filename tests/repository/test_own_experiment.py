"""The experiment of the guide: one short file, and everything that it gets for nothing."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest

import launch
from cnnjax.launch.command_line import parse
from cnnjax.launch.experiments import import_experiment

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOLDER = DOCS / "examples" / "studies"


# Two seeds of each of three networks: what they learn is not looked at.
SMALL = ["kernel_sizes", "smoke", "--train.steps", "2", "--train.batch-size", "8"]


pytestmark = pytest.mark.usefixtures("few_test_images")


@pytest.fixture(scope="module")
def directory(few_test_images, tmp_path_factory):
    directory = tmp_path_factory.mktemp("own") / "run"
    assert launch.main([*SMALL, "--workdir", str(directory)], FOLDER) == 0
    return directory


@pytest.mark.fast
def test_three_conditions_and_two_seeds_in_at_most_70_lines():
    (file,) = FOLDER.glob("*.py")
    assert len(file.read_text("utf-8").splitlines()) <= 70
    config = import_experiment("kernel_sizes", FOLDER).presets["default"]
    assert (len(config.kernel_sizes), len(config.seeds)) == (3, 2)


def test_one_line_a_network_and_a_page(directory):
    rows = list(csv.DictReader((directory / "observations.csv").read_text("utf-8").splitlines()))
    assert [(row["kernel_size"], row["seed"]) for row in rows] == [
        (size, seed) for size in "135" for seed in "01"
    ]
    # By hand: channels 1, 16, 32, 32 and 10 classes, biases included.
    for row in rows:
        window = int(row["kernel_size"]) ** 2
        convolutions = sum(window * a * b + b for a, b in ((1, 16), (16, 32), (32, 32)))
        assert int(row["parameters"]) == convolutions + 32 * 10 + 10
    (first, *_) = json.loads((directory / "results.json").read_text("utf-8"))["rows"]
    accuracies = [float(row["accuracy"]) for row in rows if row["kernel_size"] == "1"]
    assert first["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    report = (directory / "report.md").read_text("utf-8")
    assert report.startswith("# Does a larger kernel help on handwritten digits?")
    assert f"1: {100 * first['accuracy']['mean']:.1f} %" in report
    assert (directory / "figures" / "accuracy.png").exists()


def test_a_run_that_lost_a_network_does_that_one_again(directory, capsys):
    file = directory / "observations.csv"
    before = file.read_bytes()
    lines = before.decode().splitlines(keepends=True)
    file.write_text("".join([*lines[:4], *lines[5:]]))
    (directory / "done").unlink()
    words = [*SMALL, "--workdir", str(directory), "--resume"]
    assert launch.main(words, FOLDER) == 0
    said = capsys.readouterr().out
    assert re.findall(r"kernel_size=\d, seed=\d", said) == ["kernel_size=3, seed=1"]
    assert file.read_bytes() == before


def test_sweep_and_comparison(directory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert launch.main(["kernel_sizes", "smoke", "--sweep", "--dry-run"], FOLDER) == 0
    assert capsys.readouterr().out.count("kernel_sizes smoke") == 2
    assert launch.main(["compare", str(directory)], FOLDER) == 0
    (table,) = tmp_path.rglob("table.csv")
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert [row["kernel size"] if "kernel size" in row else row["kernel_size"] for row in rows] == [
        "1",
        "3",
        "5",
    ]


@pytest.mark.fast
def test_the_commands_of_the_guide_parse():
    text = (DOCS / "guides" / "experiment.md").read_text("utf-8")
    assert "```{literalinclude} ../examples/studies/kernel_sizes.py\n" in text
    commands = re.findall(r"(?m)^python launch\.py (kernel_sizes.*)$", text)
    assert len(commands) == 5
    experiment = import_experiment("kernel_sizes", FOLDER)
    for command in commands:
        _, *words = shlex.split(command)
        if "--help" not in words:
            assert isinstance(parse(experiment, words).config, experiment.config_class)
