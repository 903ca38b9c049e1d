"""Wrong command lines and configuration files: one sentence each, exit code 2, nothing begun."""

import json
import re
from pathlib import Path

import pytest

from cnnjax.launch.main import main

STUDY = '''"""Is it refused?"""

import dataclasses
from typing import Literal

from cnnjax.models.choice import Convolution
from cnnjax.train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """The study."""

    data: str = "digits"
    """Name of the data set."""
    seeds: tuple[int, ...] = (0, 1)
    """One training for each."""
    pair: tuple[int, int] = (1, 2)
    """Two numbers."""
    fill: Literal["circular", "zero"] = "circular"
    """Beyond the border."""
    canvas: int | None = None
    """Pixels."""
    one: Convolution = Convolution("standard")
    """A convolution."""
    conv: tuple[Convolution, ...] = (Convolution("standard"), Convolution("tiled", {"tile": 2}))
    """Convolutions."""
    train: TrainConfig = TrainConfig()

    def __post_init__(self):
        if not self.seeds:
            raise ValueError("seeds is (), and must hold at least one.")


PRESETS = {"smoke": Config(seeds=(0,)), "full": Config(data="mnist")}


def run(config, record):
    raise AssertionError("it was begun")


def sweep():
    yield {"trian.steps": 3}
'''
LOOK = '''"""What is it?"""

import dataclasses
from typing import Annotated

import tyro


@dataclasses.dataclass(frozen=True)
class Config:
    """The look."""

    model: Annotated[str, tyro.conf.Positional]
    """The network."""
    size: int = 32
    """Pixels."""


PRESETS = {"smoke": Config("LeNet5")}


def run(config, record):
    raise AssertionError("it was begun")
'''
FILES = {
    "empty.json": "",
    "torn.json": '{"seeds": [0',
    "list.json": "[1]",
    "number.json": "3",
    "field.json": '{"sedes": [3]}',
    "type.json": '{"seeds": "three"}',
    "item.json": '{"seeds": [1, "two"]}',
    "float.json": '{"seeds": [1.5]}',
    "pair.json": '{"pair": [1, 2, 3]}',
    "choice.json": '{"fill": "mirror"}',
    "null.json": '{"data": null}',
    "optional.json": '{"canvas": "wide"}',
    "nested.json": '{"train": {"step": 3}}',
    "value.json": '{"train": {"steps": 0}}',
    "flat.json": '{"train": 3}',
    "refused.json": '{"seeds": []}',
    "conv.json": '{"conv": [{"name": "tilde", "arguments": {}}]}',
    "unnamed.json": '{"conv": [{"arguments": {}}]}',
    "argument.json": '{"conv": [{"name": "tiled", "arguments": {"til": 2}}]}',
    "path.json": '{"one": {"name": "no_such_module:Layer", "arguments": {}}}',
    "nan.json": '{"train": {"learning_rate": NaN}}',
}

# The command line, and words of the sentence that refuses it.
TABLE = [
    # Names
    ("stud", "There is no experiment 'stud' (perhaps you meant 'study')"),
    ("xyz", "There is no experiment 'xyz'"),
    ("chek a:B", "There is no experiment 'chek' (perhaps you meant 'check')"),
    ("--seeds 3", "There is no experiment '--seeds'"),
    ("../experiments/study", "There is no experiment '../experiments/study'"),
    ("study smok", "'study' has no preset 'smok' (perhaps you meant 'smoke'): there are default"),
    ("study SMOKE", "has no preset 'SMOKE'"),
    ("study smoke full", "Unrecognized options: full"),
    ("look", "The experiment 'look' needs a model"),
    ("look --size 3", "needs a model: name it, as in launch.py look MODEL, or a preset: smoke"),
    ("look VGG16 VGG11", "VGG11"),
    ("look VGG16 --siz 3", "Unrecognized options: --siz, 3 Perhaps you meant: --size INT"),
    # Options and their values
    ("study --sed 3", "--sed, 3 Perhaps you meant: --seed"),
    ("study --train.step 3", "--train.step, 3 Perhaps you meant: --train."),
    ("study --xyzzy", "Unrecognized options: --xyzzy"),
    ("study -x", "Unrecognized options: -x"),
    ("study --seeds", "seeds is (), and must hold at least one"),
    ("study --seeds x", "--seeds: Could not find valid parse for arguments: ['x']"),
    ("study --seeds 1.5", "'1.5'"),
    ("study --pair 1", "--pair"),
    ("study --pair 1 2 3", "Unrecognized options: 3"),
    ("study --fill mirror", "invalid choice 'mirror' for argument '--fill'"),
    ("study --canvas wide", "--canvas: "),
    ("study --train.steps", "Missing value for argument '--train.steps'"),
    ("study --train.steps 0", "steps must be at least 1, got 0"),
    ("study --train.steps 1e3", "'1e3'"),
    ("study --train.steps -5", "steps must be at least 1, got -5"),
    ("study --train.learning-rate nan", "learning_rate must be positive and finite, got nan"),
    ("study --train.learning-rate fast", "'fast'"),
    ("study --train.optimizer sdg", "'sdg'"),
    ("study --train.momentum 1", "momentum must be at least 0 and below 1, got 1.0"),
    ("study --train.warmup-steps 2000", "warmup_steps must be at most the 1000 steps, got 2000"),
    ("study --train.weight-decay 1", "got 1.0: take optimizer='adamw'"),
    ("study --train.schedule exponential", "decay_steps must be at least 1 for"),
    ("study --resume yes", "Unrecognized options: yes"),
    # Convolutions
    ("study --conv", "--conv needs a name"),
    ("study --conv tilde", "There is no convolution 'tilde' (perhaps you meant 'tiled')"),
    ("study --conv tiled --conv.til 2", "'tiled' has no argument 'til' (perhaps you meant 'tile')"),
    ("study --conv tiled --conv.tile x", "must be int | Sequence[int], got 'x'"),
    ("study --conv.tile 2", "--conv.tile comes before any --conv"),
    ("study --one tiled --one standard", "--one takes one convolution, not 2"),
    ("study --conv no_such_module:A", "There is no module 'no_such_module' for the convolution"),
    ("study --conv flax.linen:Dens", "'flax.linen:Dens' does not exist (perhaps you meant 'Dense'"),
    ("study --conv json:loads", "'json:loads' is no flax module"),
    ("study --conv broken:Layer", "'broken:Layer' does not import: RuntimeError: not today"),
    ("study --convs tiled", "--convs, tiled Perhaps you meant: --conv"),
    # Where and how it runs
    ("study --devices 0", "devices must be at least 1, got 0"),
    ("study --devices two", "'two'"),
    ("study --devices 7", "--devices is 7, but XLA_FLAGS asks for 4 virtual devices"),
    ("study --resume --overwrite", "Give either --resume or --overwrite, not both"),
    ("study --workdir .", ". holds files but no run; give another directory with --workdir"),
    ("study --workdir torn.json", "torn.json is a file; give a directory with --workdir"),
    ("study --workdir run", "A finished run is in run; replace it with --overwrite"),
    ("study --workdir half", "An unfinished run is in half; continue it with --resume"),
    ("study --workdir half --resume --seeds 9", "which differs in seeds (was [0, 1], is [9])"),
    ("study --process 1", "--process 1 is given without --distributed"),
    ("study --coordinator a:1", "--coordinator a:1 is given without --distributed"),
    (
        "study --distributed --coordinator a:1 --process 0",
        "--coordinator, --processes and --process belong together, got a:1, None and 0",
    ),
    (
        "study --distributed --coordinator a:1 --processes 2 --process 2",
        "--process counts from 0 to --processes - 1, got 2 of 2",
    ),
    (
        "study --distributed --coordinator here --processes 2 --process 0",
        "--coordinator is HOST:PORT, such as node1:1234, got 'here'",
    ),
    ("study --distributed --coordinator a:1 --processes 0 --process 0", "got 0 of 0"),
    # Sweeps and Slurm
    ("study --sweep", "config.trian is no field (perhaps you meant 'train')"),
    ("study --sweep --workers 0", "workers must be at least 1, got 0"),
    ("study --workers 2 --slurm", "--workers 2 is of processes on this machine"),
    ("study --dry-run", "--dry-run is of --sweep and --slurm"),
    ("study --sweep --distributed", "--distributed is of one run, or of --slurm"),
    ("look VGG16 --sweep", "The experiment 'look' has no sweep"),
    ("study --slurm.minutes 3", "--slurm.minutes is given without --slurm"),
    ("study --slurm --slurm.minutes 0", "minutes must be at least 1, got 0"),
    ("study --slurm --slurm.at-once 0", "at_once must be at least 1, got 0"),
    ("study --slurm --slurm.partitio x", "Perhaps you meant: --slurm.partition"),
    ("study --slurm --slurm.cluster pbs", "'pbs'"),
    # Other commands
    ("prepare", "DATASET"),
    ("prepare mnist --data-di x", "--data-di, x Perhaps you meant: --data-dir"),
    ("prepare mnist cifar10", "cifar10"),
    ("check tilde", "There is no convolution 'tilde'"),
    ("check tiled --conv.til 3", "has no argument 'til'"),
    ("check tiled local", "takes one convolution and its --conv.argument options, not 'local'"),
    ("check tiled --tile 3", "Unrecognized options: --tile, 3"),
    ("compare", "Name the directories of the runs to compare"),
    ("compare absent half", "There is nothing to compare: absent is no run; half is not finished"),
    ("compare run run --workdr x", "Perhaps you meant: --workdir"),
    ("compare run --workdir half", "half is a file or a run; give another --workdir"),
    # Configuration files
    ("study --config", "Missing value for argument '--config'"),
    ("study --config absent.json", "There is no configuration file absent.json"),
    ("study --config run", "There is no configuration file run"),
    ("study smoke --config list.json", "Give either the preset 'smoke' or --config list.json"),
    ("study --config=empty.json", "empty.json is not JSON"),
    ("study --config torn.json", "torn.json is not JSON"),
    ("study --config list.json", "list.json must be an object of named fields, got [1]"),
    ("study --config number.json", "number.json must be an object of named fields, got 3"),
    ("study --config field.json", "field.json.sedes is no field (perhaps you meant 'seeds')"),
    ("study --config type.json", "type.json.seeds must be of type tuple[int, ...], got 'three'"),
    ("study --config item.json", "item.json.seeds[1] must be of type int, got 'two'"),
    ("study --config float.json", "float.json.seeds[0] must be of type int, got 1.5"),
    ("study --config pair.json", "pair.json.pair must have 2 entries, got 3"),
    ("study --config choice.json", "fill must be one of 'circular', 'zero', got 'mirror'"),
    ("study --config null.json", "null.json.data must be of type str, got None"),
    ("study --config optional.json", "optional.json.canvas must be of type int, got 'wide'"),
    ("study --config nested.json", "nested.json.train.step is no field (perhaps you meant 'steps"),
    ("study --config value.json", "steps must be at least 1, got 0"),
    ("study --config flat.json", "flat.json.train must be an object of named fields, got 3"),
    ("study --config refused.json", "seeds is (), and must hold at least one"),
    ("study --config conv.json", "There is no convolution 'tilde'"),
    ("study --config unnamed.json", "unnamed.json.conv[0].name is missing"),
    ("study --config argument.json", "The convolution 'tiled' has no argument 'til'"),
    ("study --config path.json", "path.json names no_such_module:Layer, whose code would be"),
    ("study --config nan.json", "learning_rate must be positive and finite, got nan"),
    ("look VGG16 --config field.json", "field.json.sedes is no field"),
]


def without_frame(box):
    """The words of a framed box, separated by single spaces."""
    return " ".join(re.sub("[│╭╮╰╯─]|---+", " ", box).split())


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A directory with the experiments, configuration files, a finished and an unfinished run."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "study.py").write_text(STUDY)
    (folder / "experiments" / "look.py").write_text(LOOK)
    (folder / "broken.py").write_text('raise RuntimeError("not today")\n')
    for name, text in FILES.items():
        (folder / name).write_text(text)
    config = {"data": "digits", "seeds": [0, 1], "pair": [1, 2], "fill": "circular"}
    for name in ("run", "half"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
        (folder / name / "environment.json").write_text("{}")
    (folder / "run" / "done").write_text("")
    return folder


@pytest.mark.fast
@pytest.mark.parametrize(("words", "said"), TABLE)
def test_wrong_input_is_one_sentence_and_exit_code_2(
    here, monkeypatch, capsys, tmp_path, words, said
):
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    before = sorted(here.rglob("*"))
    with pytest.raises(SystemExit) as left:
        main(words.split(), here / "experiments")
    printed, complaint = capsys.readouterr()
    assert left.value.code == 2
    assert printed == ""
    # The parser explains its own errors in a box; every other one is a sentence of ours.
    boxed = not complaint.startswith("launch.py: ")
    assert said in (without_frame(complaint) if boxed else complaint)
    if not boxed:
        assert complaint.endswith(".\n")
        assert complaint.count("\n") == 1
    assert "Traceback" not in complaint
    after = [path for path in sorted(here.rglob("*")) if "__pycache__" not in path.parts]
    assert [path for path in before if "__pycache__" not in path.parts] == after


@pytest.mark.fast
def test_no_line_of_the_table_is_there_twice():
    assert len({words for words, _ in TABLE}) == len(TABLE) >= 60
    assert {path.name for path in map(Path, FILES)} <= {
        word.removeprefix("--config=") for words, _ in TABLE for word in words.split()
    }
