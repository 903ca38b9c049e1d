"""The studies of shifts and of turns, in their smallest form."""

import json

import pytest

import launch


def rows_of(tmp_path, *arguments):
    directory = tmp_path / "run"
    assert launch.main([*arguments, "--workdir", str(directory)]) == 0
    results = json.loads((directory / "results.json").read_text("utf-8"))
    page = (directory / "report.html").read_text("utf-8")
    assert "<h2>Provenance</h2>" in page
    return results, {row.get("downsampling") or row["group"]: row for row in results["rows"]}


def test_adaptive_sampling_is_exactly_consistent_and_max_pooling_is_not(tmp_path):
    results, rows = rows_of(tmp_path, "shift_invariance", "smoke")
    for stage in ("before", "after"):
        assert rows["adaptive"][f"consistency_{stage}"]["mean"] == 1.0
        assert rows["adaptive"][f"flips_{stage}"]["mean"] == 0.0
        assert rows["max"][f"consistency_{stage}"]["mean"] < 1.0
        assert rows["max"][f"flips_{stage}"]["mean"] > 0.0
    before, after = results["pooling"]["before"], results["pooling"]["after"]
    # Figure 9.8 of the book: every detector changes, half of the pooled values do.
    assert [round(value, 6) for value in before["pooled"]] == [1.0, 1.0, 1.0, 0.2]
    assert [round(value, 6) for value in after["pooled"]] == [0.3, 1.0, 1.0, 1.0]


def test_a_quarter_turn_leaves_the_logits_of_p4_alone_and_not_those_of_z2(tmp_path):
    results, rows = rows_of(tmp_path, "rotation", "smoke", "--train.steps", "4")
    assert rows["p4"]["quarter_turn_difference"] <= 1e-4
    assert rows["none"]["quarter_turn_difference"] > 0.1
    # By hand: six 3 x 3 layers and one 4 x 4, batch normalisation, biases.
    plain = 9 * 20 + 5 * 9 * 20 * 20 + 6 * 3 * 20 + 16 * 20 * 10 + 10
    group = 9 * 10 + 5 * 9 * 4 * 10 * 10 + 6 * 3 * 10 + 16 * 4 * 10 * 10 + 10
    assert (rows["none"]["params"], rows["p4"]["params"]) == (plain, group)
    assert results["ratio"] > 0


def test_a_batch_that_the_devices_cannot_share_is_one_sentence(tmp_path, capsys):
    """The tests run on four virtual devices."""
    with pytest.raises(SystemExit) as refused:
        launch.main(
            ["borders", "smoke", "--train.batch-size", "50", "--workdir", str(tmp_path / "run")]
        )
    assert refused.value.code == 2
    assert "train.batch_size is 50, which 4 devices cannot share evenly; 48" in (
        capsys.readouterr().err
    )
