"""The run directory: what is written, when a run may begin there, and that nothing is torn."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import jax
import matplotlib
import numpy as np
import pytest

from cnnjax.run import hosts, record as record_module
from cnnjax.run.directory import run_directory
from cnnjax.run.record import Record

matplotlib.use("Agg")


@dataclasses.dataclass(frozen=True)
class Train:
    steps: int = 10


@dataclasses.dataclass(frozen=True)
class Config:
    seeds: tuple[int, ...] = (0, 1)
    train: Train = Train()


def contents(directory):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


@pytest.mark.fast
def test_a_new_run_leaves_its_configuration_and_environment(tmp_path):
    directory = tmp_path / "a" / "b"
    record = Record.open(directory, Config(), command=["python", "launch.py", "a b"])
    assert contents(directory) == ["config.json", "environment.json"]
    assert (record.resumed, record.finished) == (False, False)
    assert json.loads((directory / "config.json").read_text()) == {
        "seeds": [0, 1],
        "train": {"steps": 10},
    }
    environment = json.loads((directory / "environment.json").read_text())
    assert environment["command"] == "python launch.py 'a b'"
    assert environment["packages"]["jax"] == jax.__version__
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["devices"] == {jax.devices()[0].device_kind: jax.device_count()}
    assert (environment["commit"], environment["dirty"]) == (None, None)
    assert os.uname().nodename not in environment.values()


def test_the_commit_is_that_of_the_checkout_that_tracks_the_experiments(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    tracked, untracked = tmp_path / "experiments", tmp_path / "other"
    for folder in (tracked, untracked):
        folder.mkdir()
        (folder / "file.py").write_text("")
    (tmp_path / ".gitignore").write_text("other/\nrun*/\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")

    def recorded(name, source):
        Record.open(tmp_path / name, Config(), source=source)
        environment = json.loads((tmp_path / name / "environment.json").read_text())
        return environment["commit"], environment["dirty"]

    assert recorded("run1", tracked) == (git("rev-parse", "HEAD"), False)
    assert recorded("run2", untracked) == (None, None)
    (tracked / "file.py").write_text("changed")
    assert recorded("run3", tracked) == (git("rev-parse", "HEAD"), True)


@pytest.mark.fast
def test_metrics_are_one_object_a_line(tmp_path):
    record = Record.open(tmp_path, Config())
    before = time.time()
    record.metrics(1, loss=np.float32(0.5), seed=0)
    record.metrics(2, loss=float("nan"), correct=[1, 2])
    first, second = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert abs(first.pop("wall_time") - before) < 60
    assert first == {"step": 1, "loss": 0.5, "seed": 0}
    assert (second["loss"], second["correct"]) == (None, [1, 2])
    assert [line["step"] for line in record.read_metrics()] == [1, 2]
    with pytest.raises(ValueError, match="'wall_time' cannot be the name of a metric"):
        record.metrics(3, wall_time=1.0)


def test_rewinding_forgets_what_came_after_the_step_of_one_training_only(tmp_path):
    record = Record.open(tmp_path, Config())
    for conv in ("standard", "tiled"):
        for step in (1, 2, 3):
            record.metrics(step, conv=conv, loss=1.0)
    record.rewind(1, conv="tiled")
    kept = [(line["conv"], line["step"]) for line in record.read_metrics()]
    assert kept == [("standard", 1), ("standard", 2), ("standard", 3), ("tiled", 1)]


def test_results_are_whole_or_not_there(tmp_path, monkeypatch):
    record = Record.open(tmp_path, Config())
    record.results({"rows": [{"mean": np.float32(0.5), "n": 2}]})
    written = (tmp_path / "results.json").read_text()
    assert json.loads(written) == {"rows": [{"mean": 0.5, "n": 2}]}
    with pytest.raises(ValueError, match=r"^results\.rows\[0\]\.mean must be finite, got nan\.$"):
        record.results({"rows": [{"mean": float("nan")}]})
    before = contents(tmp_path)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        record.results({"rows": []})
    assert contents(tmp_path) == before
    assert (tmp_path / "results.json").read_text() == written


def test_pages_and_checkpoints(tmp_path):
    record = Record.open(tmp_path, Config())
    assert record.write("report.html", "<p>π</p>") == record.report
    assert record.report.read_text(encoding="utf-8") == "<p>π</p>"
    assert record.checkpoints() == tmp_path / "checkpoints"
    assert record.checkpoints("tiled", "0") == tmp_path / "checkpoints" / "tiled" / "0"


NAMES = ["../../x", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "a\x00b", "m.n:C", "é", "x" * 300]


@pytest.mark.fast
@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_directory(name, tmp_path):
    directory = tmp_path / "run"
    record = Record.open(directory, Config())
    paths = [record.checkpoints(name, name), record.write(name, "text")]
    for path in paths:
        assert directory in path.resolve().parents
    assert paths[0].parent.parent == directory / "checkpoints"
    assert paths[1].parent == directory
    automatic = run_directory(name, name, "12345678")
    assert len(automatic.parts) == 3
    assert ".." not in automatic.parts


def test_different_names_have_different_files(tmp_path):
    record = Record.open(tmp_path, Config())
    names = [*NAMES, "a_b", "a-b", "a:b", "a b"]
    assert len({record.checkpoints(name) for name in names}) == len(names)


@pytest.mark.fast
def test_a_run_goes_to_a_directory_named_by_preset_and_hash():
    assert run_directory("study", "smoke", "0a1b2c3d").as_posix() == "runs/study/smoke-0a1b2c3d"


@pytest.mark.fast
def test_a_finished_run_is_kept_unless_overwriting_is_asked_for(tmp_path):
    record = Record.open(tmp_path, Config())
    record.results({"a": 1})
    record.metrics(1, loss=1.0)
    for cell in record.each(seed=(0,)):
        record.observe(cell, a=1, b=[2])
    record.finish()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError) as refused:
        Record.open(tmp_path, Config())
    for words in ("finished", str(tmp_path), "--overwrite", "--workdir"):
        assert words in str(refused.value)
    assert Record.open(tmp_path, Config(), resume=True).finished
    assert (tmp_path / "results.json").exists()
    fresh = Record.open(tmp_path, Config(seeds=(9,)), overwrite=True)
    assert not fresh.finished
    assert contents(tmp_path) == ["config.json", "environment.json", "notes.txt"]


@pytest.mark.fast
def test_an_unfinished_run_continues_only_when_asked_to(tmp_path):
    Record.open(tmp_path, Config(), command=["first"]).metrics(1, loss=1.0)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')  # killed while it wrote
    with pytest.raises(FileExistsError) as refused:
        Record.open(tmp_path, Config())
    for words in ("unfinished", str(tmp_path), "--resume", "--overwrite"):
        assert words in str(refused.value)
    record = Record.open(tmp_path, Config(), resume=True, command=["second"])
    assert record.resumed
    assert [line["step"] for line in record.read_metrics()] == [1]
    record.release()
    Record.open(tmp_path, Config(), resume=True, command=["third"])
    environment = json.loads((tmp_path / "environment.json").read_text())
    earlier = [start["command"] for start in environment["earlier_starts"]]
    assert [*earlier, environment["command"]] == ["first", "second", "third"]


def test_a_run_does_not_continue_under_another_configuration(tmp_path):
    Record.open(tmp_path, Config())
    with pytest.raises(ValueError) as refused:
        Record.open(tmp_path, Config(seeds=(7,), train=Train(steps=20)), resume=True)
    assert "seeds (was [0, 1], is [7]), train.steps (was 10, is 20)" in str(refused.value)


def test_resume_begins_where_nothing_is(tmp_path):
    assert not Record.open(tmp_path / "new", Config(), resume=True).resumed


def test_what_is_no_run_is_never_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(FileExistsError, match=r"holds files but no run.*--workdir"):
            Record.open(tmp_path, Config(), **options)
        with pytest.raises(FileExistsError, match=r"thesis\.tex is a file"):
            Record.open(tmp_path / "thesis.tex", Config(), **options)
    assert contents(tmp_path) == ["thesis.tex"]


def test_resume_and_overwrite_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="either --resume or --overwrite"):
        Record.open(tmp_path, Config(), resume=True, overwrite=True)


def test_a_run_killed_while_its_first_files_were_written_begins_anew(tmp_path):
    Record.open(tmp_path, Config())
    (tmp_path / "config.json").rename(tmp_path / ".config.json.123.tmp")
    assert not Record.open(tmp_path, Config()).resumed


@pytest.mark.fast
def test_a_run_that_recorded_nothing_can_be_discarded(tmp_path):
    empty = Record.open(tmp_path / "empty", Config())
    assert empty.discard()
    assert not empty.directory.exists()
    begun = Record.open(tmp_path / "begun", Config())
    begun.metrics(1, loss=1.0)
    assert not begun.discard()
    assert "metrics.jsonl" in contents(begun.directory)


@pytest.mark.fast
def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(hosts, "_broadcast", lambda mine: b'["empty", null]')
    directory = tmp_path / "run"
    record = Record.open(directory, Config())
    record.metrics(1, loss=1.0)
    record.results({})
    record.write("report.html", "")
    record.write_task("digits", {})
    record.rewind(0)
    record.finish()
    assert not record.discard()
    assert not directory.exists()


@pytest.mark.fast
def test_a_directory_is_one_process_at_a_time(tmp_path):
    record = Record.open(tmp_path / "run", Config())
    code = (
        "import sys; from tests.run.test_record import Config, Record; "
        "Record.open(sys.argv[1], Config(), resume=True)"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

    def other():
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)

    refused = other()
    assert refused.returncode != 0
    assert f"Another process is at work in {tmp_path / 'run'}" in refused.stderr
    record.release()
    assert other().returncode == 0


@pytest.mark.fast
def test_what_another_process_is_told(monkeypatch):
    """One that is not the first does not compute; it gets the value, or the first one's error."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(hosts, "_broadcast", lambda mine: b'[{"a": 1}, null]')
    assert hosts.agree(lambda: 1 / 0) == {"a": 1}
    monkeypatch.setattr(hosts, "_broadcast", lambda mine: b'[null, "no such run"]')
    with pytest.raises(RuntimeError, match="The first process stopped: no such run"):
        hosts.agree(lambda: 1)
    monkeypatch.setattr(jax, "process_index", lambda: 0)
    monkeypatch.setattr(hosts, "_broadcast", lambda mine: mine)
    assert hosts.agree(lambda: [2]) == [2]
    with pytest.raises(ZeroDivisionError):
        hosts.agree(lambda: 1 / 0)


def test_importing_the_record_needs_no_jax():
    assert "jax" not in vars(record_module)


@pytest.mark.fast
def test_a_field_that_is_younger_than_the_run_counts_as_its_default(tmp_path):
    Record.open(tmp_path, Config())
    stored = {"seeds": [0, 1], "train": {}}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"differs in train.steps \(was 10, is 11\)"):
        Record.open(tmp_path, Config(train=Train(11)), resume=True)
    assert Record.open(tmp_path, Config(), resume=True).resumed
    (tmp_path / "config.json").write_text(json.dumps({**stored, "older": 1}))
    with pytest.raises(ValueError, match=r"older \(was 1, is None\)"):
        Record.open(tmp_path, Config(), resume=True)
