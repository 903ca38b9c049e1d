"""A look inside a network, trained and not."""

import json

import numpy as np
import pytest

import launch


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("visualise") / "run"
    words = ["train", "smoke", "--size", "16", "--workdir", str(directory)]
    assert launch.main(words) == 0
    return directory


def looked(directory, *words):
    assert launch.main(["visualise", "smoke", *words, "--workdir", str(directory)]) == 0
    page = (directory / "report.html").read_text("utf-8")
    for heading in ("Feature maps", "A hierarchy of features", "What decisions rest on"):
        assert f"<h2>{heading}</h2>" in page
    return json.loads((directory / "results.json").read_text("utf-8"))


def test_a_run_is_seen_with_its_own_weights_and_images(trained, tmp_path):
    results = looked(tmp_path / "look", str(trained))
    assert "step 20 of" in results["weights"]
    assert np.array(results["maps"]["image"]).shape == (16, 16)
    names = [layer["name"] for layer in results["maps"]["layers"]]
    assert names.index("conv1") < names.index("bn1") < names.index("conv2")
    # 3 pixels; halved, 4; a window of 3, 2 apart, 8; halved, 10; a window of 3, 4 apart, 18.
    assert [layer["field"] for layer in results["units"]] == [3, 18]
    unit = results["units"][0]["units"][0]
    assert np.array(unit["patches"]).shape == (9, 3, 3)
    assert unit["responses"] == sorted(unit["responses"], reverse=True)
    assert len(results["classes"]) == 10
    for decision in results["decisions"]:
        assert np.array(decision["saliency"]).min() >= 0
        assert np.abs(decision["occlusion"]).max() > 0


@pytest.mark.slow
def test_an_untrained_network_is_seen_as_well(tmp_path):
    results = looked(tmp_path / "look", "LeNet5", "--size", "32")
    assert results["weights"] == "untrained"
    # Windows of 5 x 5 are compared with Gabor functions.
    assert len(results["filters"]["gabor_fit"]) == len(results["filters"]["kernels"]) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["LeNit5"], "perhaps you meant 'LeNet5'"),
        (["PlainNet", "--units", "0"], "units must be at least 1, got 0"),
        (["RecurrentSegmentation"], "should make logits (2, 10), and makes (2, 8, 8, 10)"),
        (["runs/nowhere"], "There is no run in runs/nowhere"),
    ],
)
def test_what_cannot_be_seen_is_one_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        launch.main(["visualise", *words, "--workdir", str(tmp_path / "run")])
    assert refused.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
