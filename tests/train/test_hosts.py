"""Several processes: the numbers of one, files written once, and an end when one of them dies."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnnjax.run import hosts

SCRIPT = Path(__file__).parent / "one_of_several.py"


def free_port():
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


def start(directory, devices, *arguments, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "NPROC")}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(directory), str(devices), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, **environment},
    )


def two(directory, **die):
    address = f"localhost:{free_port()}"
    return [
        start(directory, 2, address, 2, process, **(die if process == 1 else {}))
        for process in range(2)
    ]


def finished(process):
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said


def results(directory):
    return json.loads((directory / "results.json").read_text("utf-8"))


def metrics(directory):
    lines = (directory / "metrics.jsonl").read_text("utf-8").splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name != "wall_time"}
        for line in lines
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with four devices."""
    directory = tmp_path_factory.mktemp("alone") / "run"
    assert "done on 4 devices" in finished(start(directory, 4))
    return directory


def assert_same_numbers(directory, alone):
    """To the rounding of float32 sums, whose order the processes may change."""
    assert results(directory).keys() == results(alone).keys()
    np.testing.assert_allclose(results(directory)["sums"], results(alone)["sums"], rtol=1e-5)
    here, there = metrics(directory), metrics(alone)
    assert (
        [line["step"] for line in here] == [line["step"] for line in there] == [2, 4, 6, 8, 10, 12]
    )
    for mine, other in zip(here, there, strict=True):
        assert mine == pytest.approx(other, rel=1e-4)


def test_two_processes_train_to_the_numbers_of_one(tmp_path, alone):
    said = [finished(process) for process in two(tmp_path / "run")]
    for number, text in enumerate(said):
        assert f"Process {number} of 2 (coordinator localhost:" in text
        assert "2 of 4 devices are here." in text
        assert "done on 4 devices" in text
    assert_same_numbers(tmp_path / "run", alone)


@pytest.mark.slow
def test_one_dead_process_ends_all_within_a_minute_and_a_restart_goes_on(tmp_path, alone):
    survivor, dead = two(tmp_path / "run", DIE_AT="11")
    dead.communicate(timeout=200)
    assert dead.returncode == -9
    began = time.monotonic()
    said, _ = survivor.communicate(timeout=90)
    print(f"the other ended {time.monotonic() - began:.1f} s later")
    assert time.monotonic() - began < 60
    assert survivor.returncode != 0
    assert "done" not in said
    assert said.strip()
    for process in two(tmp_path / "run"):
        finished(process)
    assert_same_numbers(tmp_path / "run", alone)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("node1:1", None, 0), "belong together, got node1:1, None and 0"),
        (("node1", 2, 0), "is HOST:PORT, such as node1:1234, got 'node1'"),
        (("node1:port", 2, 0), "got 'node1:port'"),
        (("node1:1", 2, 2), "counts from 0 to --processes - 1, got 2 of 2"),
    ],
)
def test_wrong_addresses_are_one_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        hosts.initialize(*arguments)
