"""The main study, in its smallest form: what it leaves, what it finds, how it continues."""

import json
import shutil

import pytest

import launch

LAYER_NUMBERS = ("error_on_lattice", "error_before_training", "error_after_training")


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study") / "run"
    assert launch.main(["equivariance", "smoke", "--workdir", str(directory)]) == 0
    return directory


def results_of(directory):
    return json.loads((directory / "results.json").read_text("utf-8"))


def test_the_run_leaves_what_it_promises(run_directory):
    names = {path.name for path in run_directory.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "checkpoints",
        "results.json",
        "report.html",
        "report.md",
        "figures",
        "done",
    }
    assert len(list((run_directory / "figures").glob("*.png"))) == 5


def test_rows_hold_every_number_of_the_contract(run_directory):
    rows = results_of(run_directory)["rows"]
    assert [(row["conv"], row["tile"], row["train_data"]) for row in rows] == [
        ("standard", None, "centred"),
        ("standard", None, "translated"),
        ("tiled", 2, "centred"),
        ("tiled", 2, "translated"),
    ]
    # By hand: 3x3 windows, 1 -> 4 -> 4 channels with biases, 10 classes; four times the kernels.
    classifier = 4 * 10 + 10
    convolutions = (9 * 1 * 4 + 4) + (9 * 4 * 4 + 4)
    assert [row["params"] for row in rows[::2]] == [
        convolutions + classifier,
        4 * convolutions + classifier,
    ]
    multiply_adds = 24 * 24 * 9 * 1 * 4 + 12 * 12 * 9 * 4 * 4 + 4 * 10
    for row in rows:
        assert row["multiply_adds"] == multiply_adds
        assert row["seeds"] == [0]
        for kind in ("centred", "translated"):
            accuracy = row[f"accuracy_{kind}"]
            assert set(accuracy) == {"mean", "std", "n"}
            assert 0 <= accuracy["mean"] <= 1
            assert accuracy["n"] == 1


def test_speeds_are_beside_the_results(run_directory):
    timings = json.loads((run_directory / "timings.json").read_text("utf-8"))
    assert len(timings["rows"]) == len(results_of(run_directory)["rows"])
    assert all(row["images_per_second"]["mean"] > 0 for row in timings["rows"])
    assert "images_per_second" not in (run_directory / "results.json").read_text("utf-8")


def test_lattices_are_the_predicted_ones_and_errors_where_they_belong(run_directory):
    expected = {
        "standard": {"conv1": [1, 1], "conv2": [2, 2], "network": [2, 2]},
        "tiled": {"conv1": [2, 2], "conv2": [4, 4], "network": [4, 4]},
    }
    for row in results_of(run_directory)["rows"]:
        lattices = expected[row["conv"]]
        assert [layer["name"] for layer in row["layers"]] == list(lattices)
        for layer in row["layers"]:
            assert layer["predicted_lattice"] == lattices[layer["name"]]
            assert layer["measured_lattice"] == lattices[layer["name"]]
            assert layer["error_on_lattice"] <= 1e-5
            for name in LAYER_NUMBERS:
                assert layer[name] >= 0
        if row["conv"] == "tiled":
            assert row["layers"][0]["error_off_lattice"] > 0.1
        else:
            assert row["layers"][0]["error_off_lattice"] is None


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, tmp_path, capsys):
    """One measurement is gone: its training is restored, the others are not done again."""
    before = (run_directory / "results.json").read_bytes()
    lines = (run_directory / "metrics.jsonl").read_text("utf-8")
    torn = tmp_path / "torn"
    shutil.copytree(run_directory, torn)
    for name in ("done", "results.json", "report.html"):
        (torn / name).unlink()
    (lost,) = [
        path
        for path in (torn / "parts").iterdir()
        if "tiled" in path.name and "centred" in path.name
    ]
    lost.unlink()
    capsys.readouterr()
    arguments = ["equivariance", "smoke", "--workdir", str(torn)]
    with pytest.raises(SystemExit) as stopped:
        launch.main(arguments)
    assert stopped.value.code == 2
    assert "--resume" in capsys.readouterr().err
    assert launch.main([*arguments, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "tiled(tile=2) centred seed 0" in said
    assert "standard" not in said
    assert (torn / "results.json").read_bytes() == before
    assert (torn / "metrics.jsonl").read_text("utf-8") == lines


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conv", "tilde"], "perhaps you meant 'tiled'"),
        (["--conv", "tiled", "--conv.tle", "2"], "perhaps you meant 'tile'"),
        (["--conv", "standard", "--conv.features", "3"], "'features'"),
        (["--conv", "standard", "--conv", "standard"], "each once"),
        (["--seeds", "1", "1"], "each once"),
        (["--kernel-size", "0"], "kernel_size must be at least 1, got 0"),
        (["--strides", "1"], "strides"),
        (["--canvas", "8"], "canvas"),
        (["--data", "digitz"], "digits"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["equivariance", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not directory.exists()
