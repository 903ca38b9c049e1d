"""Sweeps: which runs there are, with which commands, and what becomes of each."""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cnnjax.launch import workers
from cnnjax.launch.command_line import parse
from cnnjax.launch.experiments import import_experiment
from cnnjax.launch.main import main
from cnnjax.launch.sweep import config_words, overridden, points
from cnnjax.models.choice import Convolution

ROOT = Path(__file__).resolve().parents[2]
DOOR = f"""\
import pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from cnnjax.launch.main import main
sys.exit(main(folder=pathlib.Path(__file__).parent / "experiments"))
"""
STUDY = '''"""Does it go through?"""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

from cnnjax.models.choice import Convolution
from cnnjax.train.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Config:
    """The study."""

    ending: str = "well"
    """How it ends."""
    size: int = 3
    """Pixels."""
    flip: bool = True
    """Mirror images."""
    data_dir: str | None = None
    """Where data is."""
    one: Convolution = Convolution("standard")
    """A convolution."""
    conv: tuple[Convolution, ...] = (Convolution("standard"),)
    """Convolutions."""
    features: tuple[int, ...] = (4, 8)
    """Channels."""
    train: TrainConfig = TrainConfig()

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size is {self.size}, and must be 1 or more.")


PRESETS = {"small": Config(size=1)}


def run(config, record):
    attempt = len(record.read_metrics())
    record.metrics(1, loss=1.0)
    if config.ending == "badly":
        raise ValueError("a mistake in the experiment")
    if config.ending == "killed" and attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.ending == "late":
        def save(*_):
            record.write("saved", "yes")
            sys.exit(143)
        signal.signal(signal.SIGTERM, save)
        record.write("waiting", "yes")
        time.sleep(60)
    record.results({"attempt": attempt, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")})


def sweep():
'''


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Makes an experiment with such a sweep; the current directory is that of its launch.py."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "launch.py").write_text(DOOR)
    monkeypatch.chdir(tmp_path)

    def make(*overrides: str):
        body = "".join(f"    yield {override}\n" for override in overrides)
        file = tmp_path / "experiments" / "through.py"
        file.write_text(STUDY + (body or "    return iter(())\n"))
        return import_experiment("through", file.parent)

    return make


def call(capsys, *words):
    """`launch.py` in this process: exit code, stdout, stderr."""
    try:
        code = main(["through", *words], Path("experiments").absolute())
    except SystemExit as left:
        code = left.code
    said = capsys.readouterr()
    return code, said.out, said.err


# Which runs there are


@pytest.mark.fast
def test_each_point_overrides_fields_by_their_dotted_names(study):
    made = study("{}", '{"size": 5, "train.learning_rate": 1e-2}', '{"features": [1, 2, 3]}')
    found = points(made, parse(made, ["small", "--sweep", "--train.steps", "7"]))
    assert [list(point.words) for point in found] == [
        shlex.split(command)
        for command in (
            "through small --train.steps 7 --resume",
            "through small --size 5 --train.steps 7 --train.learning-rate 0.01 --resume",
            "through small --features 1 2 3 --train.steps 7 --resume",
        )
    ]


@pytest.mark.fast
def test_a_point_goes_where_the_same_command_without_a_sweep_goes(study, capsys):
    made = study('{"size": 5}')
    (point,) = points(made, parse(made, ["small", "--sweep"]))
    assert call(capsys, "small", "--size", "5")[:2] == (
        0,
        f"Running in {point.directory}\n{point.directory}\n",
    )
    assert point.state == "finished"
    assert not point.to_run
    (again,) = points(made, parse(made, ["small", "--sweep", "--overwrite"]))
    assert again.to_run
    assert again.words[-1] == "--overwrite"


@pytest.mark.fast
def test_points_of_one_configuration_run_once(study):
    made = study("{}", '{"size": 3}', '{"size": 4}')
    assert len(points(made, parse(made, ["--sweep"]))) == 2


@pytest.mark.fast
def test_the_directory_of_a_sweep(study):
    made = study("{}", '{"size": 4}')
    plain = points(made, parse(made, ["--sweep"]))
    moved = points(made, parse(made, ["--sweep", "--workdir", "else where"]))
    for here, there in zip(plain, moved, strict=True):
        assert here.directory.parent == Path("runs/through")
        assert there.directory == Path("else where") / here.directory.name
        assert "--workdir 'else where/" in there.command("launch.py")


@pytest.mark.fast
def test_a_configuration_file_is_the_start_of_every_point(study):
    made = study("{}", '{"flip": False}')
    Path("c.json").write_text('{"size": 9}')
    first, second = points(made, parse(made, ["--config", "c.json", "--sweep"]))
    assert first.words == ("through", "--config", "c.json", "--resume")
    assert second.words == ("through", "--config", "c.json", "--no-flip", "--resume")


@pytest.mark.fast
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"flip": False}, "--no-flip"),
        ({"data_dir": "a b"}, "--data-dir 'a b'"),
        ({"features": ()}, "--features"),
        ({"train.optimizer": "sgd", "train.nesterov": True}, "--train.optimizer sgd --train.neste"),
        ({"one": Convolution("tiled", {"tile": 2})}, "--one tiled --one.tile 2"),
        ({"conv": Convolution("local")}, "--conv local"),
        (
            {"conv": (Convolution("tiled", {"tile": (2, 4)}), Convolution("low_rank"))},
            "--conv tiled --conv.tile 2 4 --conv low_rank",
        ),
        ({"one": Convolution("a", {"x": "2", "y": "same", "z": (1,)})}, "--one a --one.x"),
        ({"one": Convolution("a", {"x": True, "y": None, "z": ((1, 2), (3,))})}, "--one a --one.x"),
    ],
)
def test_words_are_read_back_as_the_configuration_that_they_were_made_of(study, override, words):
    made = study("{}")
    start = made.config_class()
    config = overridden(start, override, "It")
    assert config != start
    made_words = config_words(config, start)
    assert shlex.join(made_words).startswith(words)
    assert parse(made, made_words).config == config


@pytest.mark.fast
def test_a_none_that_was_something_is_written_too(study):
    made = study("{}")
    start = overridden(made.config_class(), {"data_dir": "somewhere"}, "It")
    words = config_words(made.config_class(), start)
    assert words == ["--data-dir", "None"]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("3", "is 3, and must map names of fields to values."),
        ('{"sise": 3}', "config.sise is no field (perhaps you meant 'size'): there are ending, "),
        ('{"train.step": 3}', "config.train.step is no field (perhaps you meant 'steps')"),
        ('{"size.x": 3}', "config.size must be of type int, got {'x': 3}."),
        ('{"size": 3, "size.x": 4}', "size must not be given beside size.x, got 3."),
        ('{"size": "big"}', "size must be of type int, got 'big'."),
        ('{"size": 0}', "size is 0, and must be 1 or more."),
        ('{"train.optimizer": "sdg"}', "optimizer must be sgd, adam, adamw, or"),
        ('{"size": object()}', "size is a object, which JSON cannot hold"),
        ('{"conv": ()}', "cannot be written as a command line"),
    ],
)
def test_a_wrong_point_is_refused_before_anything_runs(study, capsys, override, said):
    study("{}", override)
    code, printed, complaint = call(capsys, "--sweep")
    assert (code, printed) == (2, "")
    assert complaint.startswith("launch.py: Point 1 of the sweep of 'through'")
    assert said in complaint
    assert complaint.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.fast
def test_without_a_sweep_or_without_points(study, capsys):
    study()
    assert call(capsys, "--sweep")[2] == "launch.py: The sweep of 'through' yields no point.\n"
    file = Path("experiments/through.py")
    file.write_text(STUDY.replace("def sweep():", ""))
    assert call(capsys, "--sweep")[2].startswith(
        "launch.py: The experiment 'through' has no sweep: define a function sweep()"
    )


@pytest.mark.fast
def test_a_dry_run_prints_commands_and_directories(study, capsys):
    study("{}", '{"size": 4}')
    assert call(capsys, "--size", "4")[0] == 0
    code, printed, _ = call(capsys, "--sweep", "--dry-run", "--devices", "2")
    first, command, second, other = printed.splitlines()
    assert code == 0
    assert first.startswith("# new: runs/through/default-")
    assert second.startswith("# finished: runs/through/default-")
    assert command == "python launch.py through --resume --devices 2"
    assert other == "python launch.py through --size 4 --resume --devices 2"
    assert not Path(first.removeprefix("# new: ")).exists()


# What becomes of them


def test_finished_are_skipped_failed_are_listed_and_killed_are_resumed(study, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    study("{}", '{"ending": "badly"}', '{"ending": "killed"}')
    assert call(capsys)[0] == 0
    code, printed, complaint = call(capsys, "--sweep", "--workers", "2")
    assert code == 1
    finished, bad, killed = (
        Path(line.partition(": ")[2])
        for line in call(capsys, "--sweep", "--dry-run")[1].splitlines()
        if line.startswith("#")
    )
    lines = printed.splitlines()
    assert lines[0] == f"Skipped, for it is finished: {finished}"
    assert f"Ended with code 1: {bad}" in lines
    assert f"Ended with code 137: {killed}" in lines
    said = complaint.splitlines()
    assert said[0] == "launch.py: 2 of 2 runs failed:"
    assert said[1] == (
        f"launch.py: {bad} (code 1, {bad}/log.txt): ValueError: a mistake in the experiment"
    )
    assert said[2].startswith(f"launch.py: {killed} (code 137, {killed}/log.txt): Running in")
    assert "Traceback" in (bad / "log.txt").read_text()

    code, printed, complaint = call(capsys, "--sweep")
    assert code == 1
    assert f"Finished: {killed}" in printed.splitlines()
    assert "Continuing in" in (killed / "log.txt").read_text()
    assert json.loads((killed / "results.json").read_text()) == {"attempt": 1, "gpus": "5,6"}
    assert complaint.splitlines()[0] == "launch.py: 1 of 2 runs failed:"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_lets_its_runs_save(study, number, code):
    study('{"ending": "late"}', '{"size": 4}')
    made = import_experiment("through", Path("experiments").absolute())
    late, next_one = points(made, parse(made, ["--sweep"]))
    # A process that a shell put into the background ignores SIGINT, and so would its own.
    ignored = signal.signal(number, signal.default_int_handler)
    sweep = subprocess.Popen(
        [sys.executable, "launch.py", "through", "--sweep"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    signal.signal(number, ignored)
    end = time.monotonic() + 60
    while not (late.directory / "waiting").exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    sweep.send_signal(number)
    complaint = sweep.communicate(timeout=30)[1]
    assert sweep.returncode == code
    assert complaint == "launch.py: Interrupted; the same command continues, 2 runs were to do.\n"
    assert (late.directory / "saved").exists()
    assert late.state == "unfinished"
    assert next_one.state == "new"


@pytest.mark.fast
def test_every_worker_has_gpus_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3,GPU-7")
    assert workers.visible_gpus() == ["0", "3", "GPU-7"]
    assert workers._shares(2, workers.visible_gpus()) == [
        {"CUDA_VISIBLE_DEVICES": "0,GPU-7"},
        {"CUDA_VISIBLE_DEVICES": "3"},
    ]
    with pytest.raises(ValueError, match=r"--workers must be at most 3, one for each GPU, got 4"):
        workers._shares(4, workers.visible_gpus())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,-1,3")
    assert workers.visible_gpus() == ["2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert workers._shares(2, workers.visible_gpus()) == [{}, {}]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    program = tmp_path / "nvidia-smi"
    program.write_text(
        textwrap.dedent("""\
            #!/bin/sh
            echo "GPU 0: a device (UUID: GPU-1)"
            echo "GPU 1: a device (UUID: GPU-2)"
            """)
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert workers.visible_gpus() == ["0", "1"]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Running\nValueError: no\n\n", "ValueError: no"),
        ("╭─ Error ─╮\n│ no such option │\n╰─────╯\n", "no such option"),
        ("", "(it said nothing)"),
        ("12\n--\n", "(it said nothing)"),
    ],
)
def test_the_last_line_of_a_log_that_says_something(tmp_path, text, said):
    (tmp_path / "log").write_text(text)
    assert workers.last_line(tmp_path / "log") == said
