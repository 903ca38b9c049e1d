"""Damaged files of a run: the file is named, in one sentence, and the program ends with code 2."""

import dataclasses

import numpy as np
import pytest

from cnnjax.run.cells import Cell
from cnnjax.run.config import InputError
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.stored import arrays_path

pytestmark = pytest.mark.fast


@dataclasses.dataclass(frozen=True)
class Config:
    size: int = 1


@pytest.fixture
def record(tmp_path):
    record = Record.open(tmp_path / "run", Config())
    for cell in record.each(size=[1, 2], seed=[0]):
        record.metrics(1, network=cell.name, loss=2.0)
        record.observe(cell, error=0.5, map=np.arange(3))
    yield record
    record.release()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"step": 1, "loss": 2.0}\nnot JSON\n', 2),
        (b'{"step": 1}\n{"step": 2}\n{"step": 3, "lo\n{"step": 4}\n', 3),
        (b"\xff\x00\xfe\n", 1),
        (b'{"loss": 2.0}\n', 1),
        (b"[1]\n", 1),
    ],
)
def test_garbage_in_metrics_is_named(record, content, line):
    file = record.directory / "metrics.jsonl"
    file.write_bytes(content)
    for read in (record.read_metrics, lambda: record.rewind(1)):
        with pytest.raises(InputError) as caught:
            read()
        assert str(caught.value).startswith(f"Line {line} of {file} must be a line of metrics, got")
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\n", b"size,error\n1,0.5\n", b"size,seed,error\n1,0\n"]
)
def test_an_unreadable_table_is_named(record, content):
    (record.directory / "observations.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"run/observations\.csv must"):
        Observations.read(record.directory)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"garbage"])
def test_unreadable_arrays_are_named(record, content):
    cell = Cell({"size": 1, "seed": 0})
    assert record.observations().array("map").shape == (2, 3)
    arrays_path(record.directory, cell).write_bytes(content)
    with pytest.raises(InputError, match=r"\.npz must hold the array 'map'"):
        record.observations().array("map")


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_unreadable_json_is_named(record, content):
    (record.directory / "task.json").write_text(content)
    with pytest.raises(InputError, match=r"run/task\.json is not JSON"):
        _ = record.tasks
