"""A look inside a network, trained and not: what is found, and what the page shows."""

import json

import numpy as np
import pytest

import launch
from cnnjax.run.record import Record
from experiments.looks import visualise
from tests.experiments import pages

pytestmark = pytest.mark.usefixtures("few_test_images")


@pytest.fixture(scope="module")
def trained(few_test_images, tmp_path_factory):
    directory = tmp_path_factory.mktemp("visualise") / "run"
    words = ["train", "smoke", "--size", "16", "--train.eval-every", "0"]
    assert launch.main([*words, "--workdir", str(directory)]) == 0
    return directory


def looked(directory, *words):
    assert launch.main(["visualise", "smoke", *words, "--workdir", str(directory)]) == 0
    page = (directory / "report.html").read_text("utf-8")
    for heading in ("Feature maps", "A hierarchy of features", "Evidence for decisions"):
        assert f"<h2>{heading}</h2>" in page
    return json.loads((directory / "results.json").read_text("utf-8"))


def test_a_run_is_shown_with_its_own_weights_and_images(trained, tmp_path):
    results = looked(tmp_path / "look", str(trained), "--units", "1")
    assert "step 20 of" in results["weights"]
    assert np.array(results["maps"]["image"]).shape == (16, 16)
    names = [layer["name"] for layer in results["maps"]["layers"]]
    assert {len(layer["maps"]) for layer in results["maps"]["layers"]} == {visualise.MAPS}
    assert names.index("conv1") < names.index("bn1") < names.index("conv2")
    # 3 pixels; halved, 4; a 3 x 3 kernel at stride 2, 8; halved, 10; a kernel at stride 4, 18.
    assert [layer["receptive_field"] for layer in results["units"]] == [3, 18]
    unit = results["units"][0]["units"][0]
    assert np.array(unit["patches"]).shape == (9, 3, 3)
    assert unit["responses"] == sorted(unit["responses"], reverse=True)
    assert len(results["classes"]) == 10
    for decision in results["decisions"]:
        assert np.array(decision["saliency"]).min() >= 0
        assert np.abs(decision["occlusion"]).max() > 0
        assert decision["top5"][0][0] == decision["predicted"]
        assert len(decision["top5"]) == 5
    # Trained for 20 steps, it classifies most digits correctly; chance is 10 %.
    correct = [each["label"] == each["predicted"] for each in results["decisions"]]
    assert np.mean(correct) >= 0.5


@pytest.mark.slow
def test_an_untrained_network_is_shown_as_well(tmp_path):
    results = looked(tmp_path / "look", "LeNet5", "--size", "32")
    assert results["weights"] == "untrained"
    # 5 x 5 kernels are compared with Gabor functions.
    assert len(results["filters"]["gabor_fit"]) == len(results["filters"]["kernels"]) == 6


def image(value):
    return [[value, value + 1], [value + 2, value + 3]]


RESULTS = {
    "model": "made",
    "module": "Made",
    "weights": "untrained",
    "data": "animals",
    "class_names": ["cat", "dog", "owl"],
    "filters": {
        "layer": "first",
        "kernels": [image(0), image(4)],
        "gabor_fit": [0.5, 0.75],
        "gabor_fit_of_noise": [0.25, 0.5],
    },
    "maps": {
        "image": image(7),
        "layers": [{"name": f"layer{n}", "maps": [image(n), image(-n)]} for n in range(14)],
    },
    "units": [
        {
            "layer": "deep",
            "receptive_field": 23,
            "units": [
                {"channel": 11, "preferred": image(-2), "patches": [image(n) for n in range(9)]},
                {"channel": 13, "preferred": image(1), "patches": [image(n) for n in range(4)]},
            ],
        }
    ],
    "classes": [image(0), image(1), image(2)],
    "decisions": [
        {
            "label": label,
            "predicted": predicted,
            "top5": [[0, 0.625], [2, 0.25], [1, 0.125]],
            "image": image(1),
            "saliency": image(2),
            "occlusion": image(-5),
        }
        for label, predicted in ((0, 0), (1, 2), (2, 2))
    ],
}


@pytest.mark.fast
def test_the_page_shows_the_numbers_under_their_names(tmp_path):
    visualise.page(RESULTS, Record(tmp_path))
    assert pages.lead(tmp_path) == (
        "Made on animals, untrained: 2 of the 3 images explained below are classified correctly."
    )
    page = (tmp_path / "report.md").read_text("utf-8")
    assert "explain 0.62 of the variance of a kernel on average, and 0.38 of that of noise" in page
    assert "Kernels of first, mean" in page
    assert "deep: receptive field of 23 pixels." in page
    assert "8 feature maps of 12 of 14 layers" in page
    (table,) = pages.tables(tmp_path)
    assert [(row["class"], row["probability (%)"]) for row in table] == [
        ("cat (true)", "62.50"),
        ("owl", "25.00"),
        ("dog", "12.50"),
    ]
    figures = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert figures == {"filters", "feature_maps", "units_1", "classes", "decisions"}


@pytest.mark.fast
def test_feature_maps_are_of_layers_spread_over_the_network():
    rows = visualise.map_rows(RESULTS["maps"])
    assert list(rows) == ["image", *(f"layer{n}" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13))]
    assert rows["image"] == [RESULTS["maps"]["image"]]
    assert rows["layer4"] == RESULTS["maps"]["layers"][4]["maps"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["LeNit5"], "perhaps you meant 'LeNet5'"),
        (["PlainNet", "--units", "0"], "units must be at least 1, got 0"),
        (["RecurrentSegmentation"], "must have shape (2, 10), got (2, 8, 8, 10)"),
        (["runs/nowhere"], "must be the directory of a run, but has no config.json"),
        (["PlainNet", "--weights", "w.npz"], "There is no file of weights w.npz"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(words, message, tmp_path, capsys):
    assert message in error_of(capsys, tmp_path / "run", *words)


def test_a_run_has_its_own_data(trained, tmp_path, capsys):
    for option, value in (("data", "digits"), ("size", "8"), ("weights", "w.npz")):
        message = error_of(capsys, tmp_path / "run", str(trained), f"--{option}", value)
        assert f"{option} of {trained} must be that of the run" in message


def error_of(capsys, directory, *words):
    with pytest.raises(SystemExit) as error:
        launch.main(["visualise", *words, "--workdir", str(directory)])
    assert error.value.code == 2
    return " ".join(capsys.readouterr().err.split())
