"""How runs end: what each exit code means, what is said, and what is left."""

import errno
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from cnnjax.launch import exits
from cnnjax.launch.main import main
from cnnjax.run import directory as run_directory, files, hosts, process

ROOT = Path(__file__).resolve().parents[2]
STUDY = '''"""How does it end?"""

import dataclasses
import errno
import os
import signal
from typing import Annotated

import jax
import tyro


@dataclasses.dataclass(frozen=True)
class Config:
    """The study."""

    ending: Annotated[str, tyro.conf.Positional] = "well"
    """How it ends."""
    size: int = 1
    """Pixels."""


PRESETS = {"small": Config(size=0)}


def run(config, record):
    from cnnjax.train import stops

    if config.ending == "at once":
        os.kill(os.getpid(), signal.SIGTERM)
    record.metrics(1, loss=1.0)
    if config.ending == "terminated":
        os.kill(os.getpid(), signal.SIGTERM)
    if config.ending == "diverged":
        raise stops.Diverged("The loss is nan at step 7.")
    if config.ending == "overflow":
        raise FloatingPointError("not of training")
    if config.ending == "full":
        raise OSError(errno.ENOSPC, "No space left on device", "/x")
    if config.ending == "read-only":
        raise OSError(errno.EROFS, "Read-only file system", "/x")
    if config.ending == "array":
        raise MemoryError("Unable to allocate 2 TiB")
    if config.ending == "device":
        jax.numpy.zeros((10**6, 10**6, 9)).block_until_ready()
    if config.ending == "denied":
        raise PermissionError(errno.EACCES, "Permission denied", "/x")
    record.results({"ending": config.ending, "size": config.size})
'''


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """`launch.py ended ...` in this process: exit code, stdout, stderr."""
    (tmp_path / "experiments").mkdir()
    file = tmp_path / "experiments" / "ended.py"
    file.write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "configure", lambda *_, **__: None)

    def call(*words, name="ended"):
        try:
            code = main([name, *words], file.parent)
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    call.file = file
    return call


@pytest.mark.fast
@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("well", 0, ""),
        ("diverged", 3, "launch.py: The loss is nan at step 7.\n"),
        ("terminated", 143, "launch.py: Terminated; --resume continues w.\n"),
        ("full", 1, "launch.py: The disk is full; --resume continues w.\n"),
        (
            "read-only",
            1,
            "launch.py: The file system of /x became read-only; --resume continues w.\n",
        ),
        (
            "array",
            1,
            "launch.py: The memory is too small: Unable to allocate 2 TiB; --resume continues w.\n",
        ),
        (
            "device",
            1,
            "launch.py: The memory is too small: Out of memory allocating 36000000000000 bytes; "
            "--resume continues w.\n",
        ),
    ],
)
def test_each_ending_has_a_code_and_one_sentence(call, ending, code, said):
    found, _, complaint = call(ending, "--workdir", "w")
    assert (found, complaint) == (code, said)
    assert Path("w/done").exists() == (code == 0)
    assert Path("w/metrics.jsonl").exists()


class JaxRuntimeError(RuntimeError):
    """Named as jax's."""


@pytest.mark.fast
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            JaxRuntimeError("INTERNAL: Error dispatching: Out of memory allocating 36 bytes.\nAt"),
            "The memory is too small: Out of memory allocating 36 bytes",
        ),
        (
            JaxRuntimeError("RESOURCE_EXHAUSTED: Failed to allocate request for 2GiB.\nAt"),
            "The memory is too small: Failed to allocate request for 2GiB",
        ),
        (JaxRuntimeError("INTERNAL: a fault"), None),
        (RuntimeError("Out of memory"), None),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x"), "The disk is full"),
        (OSError(errno.ENOENT, "No such file", "/x"), None),
    ],
)
def test_what_of_the_machine_is_exhausted(error, said):
    assert exits.exhausted(error) == said


@pytest.mark.fast
def test_a_run_that_recorded_nothing_leaves_nothing(call):
    assert call("at once", "--workdir", "w") == (143, "Running in w\n", "launch.py: Terminated.\n")
    assert not Path("w").exists()
    Path("kept").mkdir()
    for workdir in ("kept/v/w", "runs/ended/w"):
        assert call("at once", "--workdir", workdir)[0] == 143
    assert list(Path("kept").iterdir()) == []
    assert not Path("runs").exists()


@pytest.mark.fast
def test_a_run_that_is_refused_leaves_no_folder(call, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    assert call("x" * 300)[0] == 0  # a name is cut to what file systems take
    shutil.rmtree("runs")
    code, _, complaint = call("--workdir", f"v/{'x' * 300}")
    assert (code, complaint) == (2, f"launch.py: File name too long: v/{'x' * 300}.\n")
    with monkeypatch.context() as disk:
        disk.setattr(files, "write", full)
        code, _, complaint = call("--workdir", "v/w")
    assert code == 2
    assert complaint == "launch.py: No space left on device: v/w/environment.json.\n"
    assert not Path("v").exists()


@pytest.mark.fast
def test_a_folder_that_another_process_fills_is_left_to_it(call, monkeypatch):
    """The other one makes the folder between the look at it and its lock."""

    def lock(directory):
        (directory / "config.json").write_text("{}")
        raise FileExistsError("Another process is at work.")

    monkeypatch.setattr(run_directory, "DirectoryLock", lock)
    assert call("--workdir", "v/w")[0] == 2
    assert Path("v/w/config.json").read_text() == "{}"


@pytest.mark.fast
@pytest.mark.parametrize(
    ("ending", "error"), [("overflow", FloatingPointError), ("denied", OSError)]
)
def test_what_nobody_expected_keeps_its_traceback(call, ending, error):
    with pytest.raises(error):
        call(ending, "--workdir", "w")


@pytest.mark.fast
def test_a_directory_where_another_process_works_is_refused(call):
    Path("w").mkdir()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, os, sys\n"
            "fcntl.flock(os.open('w', os.O_RDONLY), fcntl.LOCK_EX)\n"
            "print('held', flush=True)\nsys.stdin.read()\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    code, printed, complaint = call("--workdir", "w")
    assert (code, printed) == (2, "")
    assert complaint.startswith("launch.py: Another process is at work in w; ")
    assert complaint.count("\n") == 1
    holder.communicate()
    assert call("--workdir", "w")[0] == 0
    assert call("--workdir", "w", "--overwrite")[0] == 0  # released at the end of a run


def run_unread(*words, lines):
    """Exit code, stderr and the first lines of a process of whose output no more is read."""
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        read = [running.stdout.readline() for _ in range(lines)]
        running.stdout.close()
        said = running.stderr.read()
        return running.wait(), said, read


@pytest.mark.fast
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["check"]])
def test_help_that_is_not_read_to_its_end_ends_quietly(words):
    assert run_unread("launch.py", *words, lines=0) == (0, "", [])


@pytest.mark.fast
def test_a_run_goes_on_when_nothing_reads_its_output(tmp_path):
    code = f"""
import pathlib, subprocess, sys
from cnnjax.launch.exits import outlive_readers, say
from rich.console import Console
outlive_readers()
for line in range(10000):
    print("line", line, flush=True)
    Console().print("more")
subprocess.run(["echo", "a process below it"], check=True)
pathlib.Path({str(tmp_path / "end")!r}).write_text("reached")
say("Ends.")
sys.exit(3)
"""
    assert run_unread("-c", code, lines=1) == (3, "launch.py: Ends.\n", ["line 0\n"])
    assert (tmp_path / "end").read_text() == "reached"


# Looks, and the value that stands without its name


@pytest.mark.fast
def test_the_first_word_is_a_preset_or_else_the_value_that_stands_alone(call):
    code, printed, _ = call("anything:Here", "--size", "5")
    assert code == 0
    directory = Path(printed.splitlines()[-1])
    assert directory.name.startswith("anything_Here-")
    assert '"ending": "anything:Here"' in (directory / "results.json").read_text()
    small = Path(call("small")[1].splitlines()[-1])
    assert small.name.startswith("small-")
    assert '"ending": "well", "size": 0' in (small / "results.json").read_text()
    both = Path(call("small", "other")[1].splitlines()[-1])
    assert '"ending": "other", "size": 0' in (both / "results.json").read_text()


@pytest.mark.fast
def test_a_look_replaces_the_one_before_but_never_a_study(call):
    assert call("--workdir", "w")[0] == 0
    assert call("--workdir", "w")[0] == 2
    looks = call.file.parent / "looks"
    looks.mkdir()
    call.file.rename(looks / call.file.name)
    Path("w/done").write_text("earlier")
    assert call("--workdir", "w")[0] == 0
    assert Path("w/done").read_text() != "earlier"
    (looks / call.file.name).rename(looks / "other.py")
    code, _, complaint = call("--workdir", "w", name="other")
    assert code == 2
    assert complaint.startswith("launch.py: A finished run is in w; ")


# Processes that train together


@pytest.mark.fast
def test_the_other_processes_are_joined_before_the_run_and_named(call, monkeypatch):
    asked = []

    def initialize(*address):
        asked.append(address)
        return "Process 0 of 1."

    monkeypatch.setattr(hosts, "initialize", initialize)
    address = ["--coordinator", "here:1", "--processes", "2", "--process", "0"]
    assert call("--workdir", "w", "--distributed", *address)[1].startswith("Process 0 of 1.\nRunn")
    assert call("--workdir", "v", "--distributed")[0] == 0
    assert call("--workdir", "u")[0] == 0
    assert asked == [("here:1", 2, 0), (None, None, None)]


@pytest.mark.fast
def test_a_refusal_of_process_0_is_one_sentence_on_the_others_too(call, monkeypatch):
    def refuse(*_):
        raise RuntimeError("The first process stopped: A finished run is in w.")

    monkeypatch.setattr(hosts, "initialize", lambda *_: "Process 1 of 2.")
    monkeypatch.setattr(hosts, "agree", refuse)
    code, _, complaint = call("--workdir", "w", "--distributed")
    assert (code, complaint.count("\n")) == (2, 1)
    with pytest.raises(RuntimeError):
        call("--workdir", "w")


@pytest.mark.fast
def test_settings_of_the_process_are_made_before_the_run(call, monkeypatch):
    asked = []
    monkeypatch.setattr(process, "configure", lambda *_, **settings: asked.append(settings))
    assert call("--workdir", "w", "--deterministic", "--no-cache")[0] == 0
    assert call("--workdir", "v")[0] == 0
    assert asked == [
        {"deterministic": True, "cache": False},
        {"deterministic": False, "cache": True},
    ]


# Checking a convolution


def test_check_prints_each_property_and_the_verdict(call, monkeypatch):
    import cnnjax.testing
    from cnnjax.layers import Conv
    from cnnjax.testing import Finding, Subject

    asked, layers = [], []

    def variant_checks(layer, **options):
        layers.append((layer.func, layer.keywords))
        asked.append(options)
        return [types.SimpleNamespace(subject=Subject(layer))]

    found = [Finding("shapes", True, "right"), Finding("symmetry", False, "off by 1")]
    monkeypatch.setattr(cnnjax.testing, "variant_checks", variant_checks)
    monkeypatch.setattr(cnnjax.testing, "findings", lambda checks: iter(found))
    code, printed, _ = call("standard", "--conv.use_bias", "False", name="check")
    assert code == 1
    assert [line.split() for line in printed.splitlines()] == [
        ["ok", "shapes", "right"],
        ["FAILED", "symmetry", "off", "by", "1"],
        ["Conv(use_bias=False):", "FAILED,", "1", "of", "2", "properties", "hold"],
    ]
    del found[1]
    words = ["--only", "shapes", "linear map", "--waive", "linear map", "it is gated"]
    assert call("cnnjax.layers:Conv", *words, name="check")[0] == 0
    assert layers == [(Conv, {"use_bias": False}), (Conv, {})]
    assert asked == [
        {"only": (), "waive": {}},
        {"only": ("shapes", "linear map"), "waive": {"linear map": "it is gated"}},
    ]


@pytest.mark.fast
def test_check_explains_its_arguments(call):
    code, printed, _ = call(name="check")
    assert code == 0
    assert all(word in printed for word in ("MODULE:CLASS", "--only", "--waive"))
    code, _, complaint = call("standard", "--only", "symetry", name="check")
    assert code == 2
    assert "no property 'symetry' (perhaps you meant 'symmetry'): there are shapes, " in complaint


def test_a_process_that_is_told_to_end_ends_with_143(call):
    """The same in a process of its own, where nothing else handles signals."""
    code = (
        f"import pathlib, sys\nfrom cnnjax.launch.main import main\n"
        f"sys.exit(main(['ended', 'terminated', '--workdir', 'w'], "
        f"pathlib.Path({str(call.file.parent)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stderr) == (143, "launch.py: Terminated; --resume continues w.\n")
