"""The command line: what is listed, explained, run, refused, and with which exit code."""

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import flax.linen as nn
import pytest

import launch
from cnnjax import layers
from cnnjax.launch import main as main_module
from cnnjax.launch.experiments import EXPERIMENTS, experiment_files, question
from cnnjax.run import process

ROOT = Path(launch.__file__).parent
EXPERIMENT = '''"""Does the door open?

More words, which only help shows.
"""

import dataclasses
from typing import Literal

from cnnjax.models.choice import Convolution


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    steps: int = 10
    """Number of updates."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """Update rule."""

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, and must be 1 or more.")


@dataclasses.dataclass(frozen=True)
class Config:
    """The study."""

    data: str = "digits"
    """Name of the data set."""
    data_dir: str | None = None
    """Where data sets are."""
    seeds: tuple[int, ...] = (0, 1)
    """One training for each."""
    flip: bool = True
    """Mirror images."""
    conv: tuple[Convolution, ...] = (Convolution("standard"), Convolution("tiled", {"tile": 2}))
    """Convolutions to compare."""
    train: TrainConfig = TrainConfig()

    def __post_init__(self):
        if not self.seeds:
            raise ValueError("seeds is (), and must hold at least one.")


PRESETS = {
    "smoke": Config(seeds=(0,), train=TrainConfig(steps=2)),
    "default": Config(),
    "full": Config(data="mnist"),
}


def run(config, record):
    import jax

    if config.data == "absent":
        raise FileNotFoundError("The data set 'absent' is not in /data; prepare it.")
    if config.data == "interrupted at once":
        raise KeyboardInterrupt
    record.metrics(1, loss=1.0)
    if config.data == "existing":
        raise FileExistsError(17, "File exists", "/data/x")
    if config.data == "interrupted":
        raise KeyboardInterrupt
    if config.data == "half":
        raise ValueError("a mistake in the experiment")
    layers = [convolution.layer()(features=1) for convolution in config.conv]
    record.results(
        {
            "layers": [type(layer).__name__ for layer in layers],
            "tiles": [getattr(layer, "tile", None) for layer in layers],
            "seeds": config.seeds,
            "devices": jax.device_count(),
        }
    )
    record.write("report.html", "<p>yes</p>")
'''


class Standard(nn.Module):
    features: int


class Tiled(nn.Module):
    features: int
    tile: int | tuple[int, ...] = 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a small experiment; the current directory is another, empty one."""
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "door.py").write_text(EXPERIMENT)
    (folder / "_shared.py").write_text('"""Not an experiment."""')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


@pytest.fixture
def door(folder, monkeypatch, capsys):
    """Calls `launch.main` in this process; returns exit code, stdout and stderr."""
    monkeypatch.setattr(layers, "VARIANTS", {"standard": Standard, "tiled": Tiled})
    monkeypatch.setattr(sys, "path", list(sys.path))
    devices = []
    monkeypatch.setattr(process, "configure", lambda asked, **_: devices.append(asked))

    def call(*words):
        try:
            code = launch.main(list(words), folder)
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    call.devices = devices
    return call


def sentence(answer) -> str:
    """The one sentence of an answer that refuses."""
    code, printed, complaint = answer
    assert (code, printed) == (2, "")
    assert complaint.startswith("launch.py: ")
    assert complaint.endswith(".\n")
    assert complaint.count("\n") == 1
    return complaint.removeprefix("launch.py: ").removesuffix("\n")


def results(directory) -> dict:
    return json.loads((Path(directory) / "results.json").read_text())


# Listing and help


@pytest.mark.fast
def test_experiments_are_listed_with_their_questions_without_being_imported(door, folder):
    (folder / "another_one.py").write_text('"""Is this imported?"""\nraise RuntimeError')
    (folder / "torn.py").write_text("x = (\n")
    (folder / "silent.py").write_text("x = 1\n")
    for words in ([], ["--help"], ["-h"]):
        code, printed, _ = door(*words)
        assert code == 0
        lines = [line.strip() for line in printed.splitlines()]
        assert "door         Does the door open?" in lines
        assert "another_one  Is this imported?" in lines
        assert "silent       (no docstring)" in lines
        assert "torn         (line 1 of torn.py is not Python)" in lines
        assert any(line.startswith("python launch.py prepare DATASET") for line in lines)
        assert "More words" not in printed
        assert "shared" not in printed


def test_the_experiments_of_this_repository_have_a_question_each():
    for file in experiment_files(EXPERIMENTS):
        assert question(file).endswith("?"), file


@pytest.mark.fast
def test_help_imports_nothing_that_is_slow_to_import(folder):
    """So that it is instant; how fast it is on this machine is no matter of a test."""
    code = (
        "import sys, pathlib, launch\n"
        "try: launch.main(['door', '--help'], pathlib.Path(sys.argv[1]))\n"
        "finally: print(sorted({'jax', 'flax', 'matplotlib', 'numpy', 'sklearn'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    assert done.stderr == ""
    words = " ".join(done.stdout.replace("│", " ").split())
    assert words.endswith("[]")
    for part in (
        "Does the door open? More words, which only help shows.",
        "smoke sets seeds, train.steps",
        "full sets data",
        "--workdir",
        "--resume",
        "--overwrite",
        "--config",
        "--devices",
        "Number of virtual CPU devices",
        "--seeds [INT [INT ...]] One training for each. (default: 0 1)",
        "--data-dir",
        "--conv [NAME|MODULE:CLASS",
        "--train.steps INT Number of updates. (default: 10)",
    ):
        assert part in words


def test_help_of_a_preset_shows_its_values(door):
    code, printed, _ = door("door", "smoke", "--help")
    assert code == 0
    assert "Number of updates. (default: 2)" in printed


# Running


@pytest.mark.fast
def test_a_run_leaves_its_directory_and_names_the_report(door):
    code, printed, _ = door("door")
    assert code == 0
    first, last = printed.splitlines()
    directory = Path(first.removeprefix("Running in "))
    assert directory.parent == Path("runs/door")
    assert directory.name.startswith("default-")
    assert last == str(directory / "report.html")
    assert {path.name for path in directory.iterdir()} == {
        ".lock",
        "config.json",
        "done",
        "environment.json",
        "metrics.jsonl",
        "report.html",
        "results.json",
    }
    assert results(directory)["layers"] == ["Standard", "Tiled"]
    assert results(directory)["tiles"] == [None, 2]
    environment = json.loads((directory / "environment.json").read_text())
    assert environment["command"] == "python launch.py door"


def test_presets_and_fields_choose_the_directory(door):
    def directory(*words):
        code, printed, _ = door("door", *words)
        assert code == 0
        return Path(printed.splitlines()[-1]).parent

    smoke, changed = directory("smoke"), directory("smoke", "--train.steps", "3")
    assert smoke.name.startswith("smoke-")
    assert changed.name.startswith("smoke-")
    assert smoke != changed
    assert json.loads((changed / "config.json").read_text())["train"]["steps"] == 3
    assert results(smoke)["seeds"] == [0]


def test_workdir_seed_and_other_fields(door):
    assert door("door", "--workdir", "w", "--seed", "3", "--no-flip", "--data-dir", "d")[0] == 0
    config = json.loads(Path("w/config.json").read_text())
    assert (config["seeds"], config["flip"], config["data_dir"]) == ([3], False, "d")
    assert door("door", "--workdir", "v", "--seed=4")[0] == 0
    assert door("door", "--workdir", "u", "--seeds", "5", "6")[0] == 0
    assert (results("v")["seeds"], results("u")["seeds"]) == ([4], [5, 6])


@pytest.mark.fast
def test_convolutions_are_chosen_on_the_command_line(door):
    words = "door --workdir w --conv tiled --conv.tile 2 4 --seed 1 --conv standard"
    assert door(*words.split())[0] == 0
    assert results("w")["layers"] == ["Tiled", "Standard"]
    assert results("w")["tiles"] == [[2, 4], None]
    assert json.loads(Path("w/config.json").read_text())["conv"] == [
        {"name": "tiled", "arguments": {"tile": [2, 4]}},
        {"name": "standard", "arguments": {}},
    ]


def test_a_configuration_file_is_reloaded_and_overridden(door):
    assert door("door", "smoke", "--workdir", "a", "--conv", "tiled", "--conv.tile", "4")[0] == 0
    assert door("door", "--config", "a/config.json", "--workdir", "b")[0] == 0
    assert Path("b/config.json").read_text() == Path("a/config.json").read_text()
    assert door("door", "--config=a/config.json", "--workdir", "c", "--seeds", "8")[0] == 0
    assert (results("c")["seeds"], results("c")["tiles"]) == ([8], [4])


def test_virtual_devices_are_asked_for_before_the_run(door, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS")
    assert door("door", "--workdir", "w", "--devices", "3")[0] == 0
    assert door("door", "--workdir", "v")[0] == 0
    assert door.devices == [3, None]


def test_the_door_itself_with_devices_and_a_module_of_ones_own(folder):
    """The same in a fresh process, where jax is not imported before the command line is read."""
    (folder.parent / "here" / "my_module.py").write_text(
        "import flax.linen as nn\nclass MyConv(nn.Module):\n    features: int\n    tile: int = 1\n"
    )
    words = "door --workdir w --devices 3 --conv my_module:MyConv --conv.tile 5"
    code = f"import pathlib, launch\nlaunch.main({words.split()}, pathlib.Path({str(folder)!r}))"
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert results("w") == {"layers": ["MyConv"], "tiles": [5], "seeds": [0, 1], "devices": 3}


# What is there already


@pytest.mark.fast
def test_a_finished_run_is_kept(door):
    door("door", "--workdir", "w")
    said = sentence(door("door", "--workdir", "w"))
    assert said == (
        "A finished run is in w; replace it with --overwrite, or keep it and give another "
        "directory with --workdir."
    )
    assert door("door", "--workdir", "w", "--resume") == (0, "This run is finished: w\n", "")
    Path("w/results.json").unlink()
    assert door("door", "--workdir", "w", "--seed", "9", "--overwrite")[0] == 0
    assert results("w")["seeds"] == [9]


@pytest.mark.fast
def test_an_unfinished_run_continues_with_resume(door, folder, capsys):
    with pytest.raises(ValueError, match="a mistake in the experiment"):  # traceback kept
        door("door", "--workdir", "w", "--data", "half")
    capsys.readouterr()
    said = sentence(door("door", "--workdir", "w", "--data", "half"))
    assert said == (
        "An unfinished run is in w; continue it with --resume, or replace it with --overwrite."
    )
    said = sentence(door("door", "--workdir", "w", "--data", "half", "--seed", "4", "--resume"))
    assert said.endswith("which differs in seeds (was [0, 1], is [4]).")
    mended = EXPERIMENT.replace('raise ValueError("a mistake in the experiment")', "pass")
    (folder / "door.py").write_text(mended)
    code, printed, _ = door("door", "--workdir", "w", "--data", "half", "--resume")
    assert (code, printed) == (0, f"Continuing in w\n{Path('w/report.html')}\n")
    assert len(Path("w/metrics.jsonl").read_text().splitlines()) == 2


def test_an_interruption_is_one_line_and_130(door):
    code, _, complaint = door("door", "--workdir", "w", "--data", "interrupted")
    assert (code, complaint) == (130, "\nlaunch.py: Interrupted; --resume continues w.\n")
    code, _, complaint = door("door", "--workdir", "v", "--data", "interrupted at once")
    assert (code, complaint) == (130, "\nlaunch.py: Interrupted.\n")
    assert not Path("v").exists()


def test_an_interruption_before_the_run_is_one_line_too(door, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "overview", interrupted)
    assert door() == (130, "", "launch.py: Interrupted.\n")


def test_missing_and_existing_files_in_a_run_are_one_sentence(door):
    code, printed, complaint = door("door", "--workdir", "w", "--data", "absent")
    assert (code, printed) == (2, "Running in w\n")
    assert complaint == "launch.py: The data set 'absent' is not in /data; prepare it.\n"
    assert not Path("w").exists()  # nothing was recorded: the same command works once it is there
    code, _, complaint = door("door", "--workdir", "v", "--data", "existing")
    assert (code, complaint) == (2, "launch.py: File exists: /data/x.\n")
    assert Path("v/metrics.jsonl").exists()


# What is wrong with the command line


@pytest.mark.fast
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("dor", "There is no experiment 'dor' (perhaps you meant 'door'): "),
        ("prepar mnist", "There is no experiment 'prepar' (perhaps you meant 'prepare'): "),
        ("--seeds 3", "There is no experiment '--seeds': "),
        (
            "door smok",
            "The experiment 'door' has no preset 'smok' (perhaps you meant 'smoke'): there are "
            "default, smoke, full.",
        ),
        ("door --seeds", "seeds is (), and must hold at least one."),
        ("door --devices 0", "devices must be at least 1, got 0."),
        ("door --config absent.json", "There is no configuration file absent.json."),
        ("door smoke --config x", "Give either the preset 'smoke' or --config x, not both."),
        ("door --config wrong.json", "wrong.json.seed is no field (perhaps you meant 'seeds'): "),
        ("door --resume --overwrite", "Give either --resume or --overwrite, not both."),
        ("door --workdir .", ". holds files but no run; give another directory with --workdir."),
        ("door --conv tilde", "There is no convolution 'tilde' (perhaps you meant 'tiled'): "),
        (
            "door --conv tiled --conv.til 2",
            "The convolution 'tiled' has no argument 'til' (perhaps",
        ),
        ("door --conv tiled --conv.tile x", "`tile` of the convolution 'tiled' must be"),
        ("door --conv.tile 2", "--conv.tile comes before any --conv: name the convolution first"),
        ("door --conv no_such_module:A", "There is no module 'no_such_module' for the convolution"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(door, words, said):
    Path("wrong.json").write_text('{"seed": 3}')
    assert sentence(door(*words.split())).startswith(said)
    assert not Path("runs").exists()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("door --sed 3", ["Perhaps you meant:", "--seeds"]),
        ("door --train.step 3", ["Perhaps you meant:", "--train.steps"]),
        ("door --convs tiled", ["Perhaps you meant:", "--conv"]),
        ("door --seeds x", ["--seeds", "'x'"]),
        ("door --train.optimizer sdg", ["'sdg'", "--train.optimizer", "'sgd'", "'adam'"]),
        ("door --train.steps 0", ["steps is 0, and must be 1 or more."]),
        ("door smoke full", ["full"]),
        ("prepare", ["DATASET"]),
        ("prepare mnist --data-di x", ["Perhaps you meant:", "--data-dir"]),
    ],
)
def test_wrong_fields_and_values_are_explained(door, words, parts):
    code, printed, complaint = door(*words.split())
    assert (code, printed) == (2, "")
    assert "Traceback" not in complaint
    said = " ".join(re.sub("[│╭╮╰╯─]|---+", " ", complaint).split())
    for part in parts:
        assert part in said
    assert not Path("runs").exists()


def test_a_field_may_not_hide_an_option(door, folder):
    (folder / "door.py").write_text(EXPERIMENT.replace("    flip: bool", "    resume: bool"))
    assert sentence(door("door")).startswith("Rename the field 'resume' of Config")


@pytest.mark.fast
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "class Config:",
            "class Configuration:",
            "must define Config, a frozen dataclass, got",
        ),
        (
            "def run(config, record)",
            "def go(config, record)",
            "must define run(config, record)",
        ),
        (
            "def run(config, record)",
            "def run(config)",
            "run(config, record), got <func",
        ),
        ('"full": Config(data="mnist")', '"full": 3', "must hold Configs, got 3 for 'full'"),
        (
            "import dataclasses\n",
            "import dataclasses\nimport no_such\n",
            "not import: Module",
        ),
        ("def run(", "x = 1 / 0\ndef run(", "does not import: ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_experiment_file_is_named_with_what_it_lacks(door, folder, before, after, said):
    assert before in EXPERIMENT
    source = EXPERIMENT.replace(before, after, 1)
    if "Configuration" in after:
        source = source[: source.index("PRESETS")] + source[source.index("def run(") :]
    (folder / "door.py").write_text(source)
    complaint = sentence(door("door"))
    assert complaint.startswith(str(folder / "door.py")) or "PRESETS of" in complaint
    assert said in complaint


# Preparing data


def test_prepare_prints_where_the_data_set_is(door, monkeypatch):
    asked = []

    def prepare(name, data_dir=None):
        asked.append((name, data_dir))
        if name == "absent":
            raise FileNotFoundError("There is no data set 'absent'.")
        if name == "wrong":
            raise ValueError("wrong is\n  wrong.")
        return Path("data") / name

    datasets = types.SimpleNamespace(prepare=prepare)
    monkeypatch.setitem(sys.modules, "cnnjax.data.datasets", datasets)
    import cnnjax.data

    monkeypatch.setattr(cnnjax.data, "datasets", datasets, raising=False)
    assert door("prepare", "mnist") == (0, f"{Path('data/mnist')}\n", "")
    assert door("prepare", "mnist", "--data-dir", "d")[0] == 0
    assert asked == [("mnist", None), ("mnist", "d")]
    assert sentence(door("prepare", "absent")) == "There is no data set 'absent'."
    assert sentence(door("prepare", "wrong")) == "wrong is wrong."
