"""The study of Lie derivatives, in its smallest form."""

import json
import re

import pytest

import launch
from cnnjax.report.lie_derivative import answer, scale_of, shares


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    run = tmp_path_factory.mktemp("lie") / "run"
    words = ["lie_derivative", "smoke", "--actions", "right", "--workdir", str(run)]
    assert launch.main(words) == 0
    assert "<h2>Layer by layer</h2>" in (run / "report.html").read_text("utf-8")
    return json.loads((run / "results.json").read_text("utf-8"))


def test_only_what_aliases_loses_translations(results):
    rows = {row["network"]: row for row in results["rows"]}
    for stage in ("before", "after"):
        assert rows["alias_free"][stage]["right"]["whole"]["mean"] < 1e-4
        assert rows["max"][stage]["right"]["whole"]["mean"] > 0.1
        parts = shares(rows["max"], stage, "right")
        # Circular convolutions and the mean over positions commute with every translation.
        assert parts["convolution"] + parts["readout"] < 1e-6
        assert sum(parts.values()) == pytest.approx(1)
        # Sums of a few thousand float32 numbers through ten layers.
        assert rows["max"][stage]["right"]["remainder"] < 1e-3


def test_the_answer_has_the_numbers(results):
    row = next(row for row in results["rows"] if row["network"] == "max")
    moved = row["after"]["right"]["whole"]["mean"] * scale_of("right")
    told = re.search(r"changes the logits of max by ([\d.]+)", answer(results))
    assert told is not None
    assert float(told[1]) == pytest.approx(moved, rel=0.05)
    (alone,) = [row for row in results["rows"] if row["network"] == "max"]
    assert answer({**results, "rows": [alone]}).count("max") == 1


@pytest.mark.parametrize("field", ["networks", "actions"])
def test_an_unknown_choice_is_refused(field, capsys):
    with pytest.raises(SystemExit) as refused:
        launch.main(["lie_derivative", f"--{field}", "none"])
    assert refused.value.code == 2
    assert "none" in capsys.readouterr().err
