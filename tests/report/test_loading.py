"""What is loaded of a run is what it wrote."""

import dataclasses

import numpy as np
import pytest

from cnnjax import report
from cnnjax.run.record import Record


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = 3


@pytest.mark.fast
def test_a_run_is_loaded_as_far_as_it_came(tmp_path):
    record = Record.open(tmp_path / "run", Config())
    begun = report.load_run(tmp_path / "run")
    assert (begun.config, begun.finished, begun.results) == ({"steps": 3}, False, {})
    assert (len(begun.observations), begun.metrics) == (0, [])
    for cell in record.each(layer=("a", "b"), seed=(0,)):
        record.metrics(1, network=cell.name, loss=0.5)
        record.observe(cell, error=0.25 if cell["layer"] == "a" else 0.75, map=np.arange(3))
    record.results({"answer": 42})
    record.finish()
    run = report.load_run(str(tmp_path / "run"))
    assert run.finished
    assert run.results == {"answer": 42}
    assert run.observations.column("error").tolist() == [0.25, 0.75]
    assert run.observations.where(layer="b").array("map").tolist() == [[0, 1, 2]]
    assert [line["loss"] for line in run.metrics] == [0.5, 0.5]
    assert "packages" in run.environment
    with pytest.raises(FileNotFoundError, match="directory must be that of a run, got"):
        report.load_run(tmp_path)
