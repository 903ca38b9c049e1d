"""The cells of one run in several processes give the observations of one process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnnjax.run.process import Share

ROOT = Path(__file__).resolve().parents[2]
ENTRY = f"""\
import pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
from cnnjax.launch.exits import leave
from cnnjax.launch.main import main
leave(main(folder=pathlib.Path(__file__).parent / "experiments"))
"""


@pytest.fixture
def here(tmp_path):
    """A directory with an entry point and the small study."""
    (tmp_path / "launch.py").write_text(ENTRY)
    (tmp_path / "experiments").mkdir()
    shutil.copy(ROOT / "tests" / "faults" / "experiments" / "small.py", tmp_path / "experiments")
    return tmp_path


def launch(here, *words):
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "NPROC")}
    done = subprocess.run(
        [sys.executable, "launch.py", "small", *words],
        cwd=here,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_two_workers_observe_what_one_process_does(here):
    short = ("--train.steps", "8")
    code, _, complaint = launch(here, "--workdir", "one", *short)
    assert code == 0, complaint
    code, printed, complaint = launch(here, "--workdir", "two", "--workers", "2", *short)
    assert code == 0, complaint
    for worker in (1, 2):
        assert f"Finished: worker {worker} of 2" in printed
        log = (here / "two" / f"worker-{worker}.log").read_text()
        assert f"seed={worker - 1}" in log
        assert f"seed={2 - worker}" not in log
    # Digests of all that training changes: equal to the last bit.
    for name in ("observations.csv", "results.json"):
        assert (here / "two" / name).read_bytes() == (here / "one" / name).read_bytes()
    assert (here / "two" / "done").exists()


def test_a_worker_that_fails_is_named_with_its_last_words(here):
    words = ("--workdir", "run", "--workers", "2", "--train.learning-rate", "1e38")
    code, _, complaint = launch(here, *words)
    assert code == 1
    assert "worker 1 of 2 ended with code 3" in complaint
    assert "Most likely to blame: learning_rate=1e+38" in complaint
    assert not (here / "run" / "done").exists()


@pytest.mark.fast
def test_a_process_knows_its_share_from_its_environment(monkeypatch):
    monkeypatch.delenv("CNNJAX_SHARE", raising=False)
    assert Share.of_this_process() is None
    for name, value in Share(2, 5).environment().items():
        monkeypatch.setenv(name, value)
    assert Share.of_this_process() == Share(2, 5)


@pytest.mark.fast
def test_workers_divide_the_cores_among_them(monkeypatch):
    taken = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4}, raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda _, cores: taken.append(cores), raising=False
    )
    for index in range(2):
        Share(index, 2).take_cores()
    Share(0, 6).take_cores()  # more workers than cores: each takes what it finds
    assert taken == [{0, 2, 4}, {1, 3}]
