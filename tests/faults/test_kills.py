"""Runs that are killed at any instant, and continued, end bit by bit like one that was not.

`pytest -m faults` kills fifty; two are in the normal suite.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "experiments"
CODE = (
    "import sys, launch; from pathlib import Path; "
    "launch.leave(launch.main(sys.argv[2:], Path(sys.argv[1])))"
)


def start(directory, *options):
    command = [sys.executable, "-c", CODE, str(FOLDER), "small", "--workdir", str(directory)]
    return subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={key: value for key, value in os.environ.items() if key not in ("XLA_FLAGS", "NPROC")},
    )


def finished(process):
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def left_by(directory):
    """What must be the same to the last bit; of metrics.jsonl all but the time of the clock."""
    metrics = [
        {name: value for name, value in json.loads(line).items() if name != "wall_time"}
        for line in (directory / "metrics.jsonl").read_text("utf-8").splitlines()
    ]
    names = ("observations.csv", "results.json", "config.json")
    files = {name: (directory / name).read_bytes() for name in names}
    return {"metrics": metrics, **files}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What a run leaves that nobody killed, and how long it took once compilations were cached."""
    first, directory = (tmp_path_factory.mktemp(name) / "run" for name in ("cold", "warm"))
    finished(start(first))
    began = time.monotonic()
    finished(start(directory))
    left = left_by(directory)
    # The same command gives the same bits: without this nothing below would mean anything.
    assert left_by(first) == left
    assert len(left["metrics"]) == 2 * (12 + 4)
    assert len({json.dumps(line) for line in left["metrics"]}) == len(left["metrics"])
    return left, time.monotonic() - began


def wait_for_a_write(directory, process, number):
    """Until the checkpoint with this number, counted from 1, is being written."""
    seen = set()
    while process.poll() is None and len(seen) < number:
        seen |= {path.name for path in directory.glob("checkpoints/*/*orbax-checkpoint-tmp*")}
        time.sleep(0.0005)


def killed_and_continued(directory, seed, duration):
    """Kill a run at an instant drawn from the seed, every other time as a checkpoint is written.

    Where it came to its end before the instant, another one is drawn.
    """
    draw = random.Random(seed)
    while True:
        process = start(directory)
        if seed % 2:
            wait_for_a_write(directory, process, draw.randint(1, 10))
            time.sleep(draw.uniform(0, 0.02))
        else:
            time.sleep(draw.uniform(0.2, duration))
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        if process.returncode == -signal.SIGKILL:
            break
        assert process.returncode == 0, said
        shutil.rmtree(directory)
    finished(start(directory, "--resume"))


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(50))
def test_a_killed_run_ends_like_one_that_was_not(unbroken, tmp_path, seed):
    left, duration = unbroken
    killed_and_continued(tmp_path / "run", seed, duration)
    assert left_by(tmp_path / "run") == left


@pytest.mark.parametrize("seed", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_few_killed_runs(unbroken, tmp_path, seed):
    left, duration = unbroken
    killed_and_continued(tmp_path / "run", seed, duration)
    assert left_by(tmp_path / "run") == left


def test_sigterm_saves_and_leaves_with_143(unbroken, tmp_path):
    process = start(tmp_path / "run")
    wait_for_a_write(tmp_path / "run", process, 2)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - asked < 30
    assert process.returncode == 143, said
    assert "--resume" in said
    assert "Traceback" not in said
    finished(start(tmp_path / "run", "--resume"))
    assert left_by(tmp_path / "run") == unbroken[0]


def terminated_and_continued(directory, seed, duration):
    """Ask a run to end at an instant drawn from the seed: importing, compiling, training."""
    process = start(directory)
    time.sleep(random.Random(seed).uniform(0.5, duration))
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - asked < 30
    # Before the program has begun nobody listens; after its last step it is done.
    assert process.returncode in (143, -signal.SIGTERM, 0), said
    if process.returncode != 0:
        finished(start(directory, "--resume"))


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(100, 112))
def test_a_terminated_run_ends_like_one_that_was_not(unbroken, tmp_path, seed):
    left, duration = unbroken
    terminated_and_continued(tmp_path / "run", seed, duration)
    assert left_by(tmp_path / "run") == left


def test_a_second_process_is_refused(unbroken, tmp_path):
    first = start(tmp_path / "run")
    wait_for_a_write(tmp_path / "run", first, 1)
    second = start(tmp_path / "run", "--resume")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "Another process is at work in" in said
    finished(first)
    assert left_by(tmp_path / "run") == unbroken[0]


def test_on_other_devices_a_run_continues_to_the_same_numbers_but_for_rounding(unbroken, tmp_path):
    options = ("--seeds", "0")
    first = start(tmp_path / "run", *options)
    wait_for_a_write(tmp_path / "run", first, 3)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    finished(start(tmp_path / "run", *options, "--resume", "--devices", "2"))
    lines = left_by(tmp_path / "run")["metrics"]
    expected = [line for line in unbroken[0]["metrics"] if line["network"] == "seed 0"]
    assert len(lines) == 12 + 4
    for line, other in zip(lines, expected, strict=True):
        # Twenty updates of Adam in float32; a count of right answers may flip by one example.
        assert line.keys() == other.keys()
        assert (line["network"], line["step"]) == (other["network"], other["step"])
        exact = sorted(set(line) - {"network", "accuracy", "eval_accuracy"})
        assert [line[name] for name in exact] == pytest.approx(
            [other[name] for name in exact], rel=2e-3
        )


def test_divergence_has_a_code_and_a_sentence_of_its_own(tmp_path):
    process = start(tmp_path / "run", "--train.learning-rate", "1e38", "--seeds", "0")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 3, said
    assert "Most likely to blame: learning_rate=1e+38, gradient_clip=0.0 (off)" in said
    assert "Traceback" not in said
