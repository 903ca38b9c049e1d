"""Networks of runs and networks with weights from a file, visualised and audited."""

import json

import jax
import numpy as np
import pytest

import launch
from cnnjax.run.config import InputError
from experiments.looks import audit, visualise
from tests.experiments.smallest import WORDS

TRAIN = ("--train.steps", "1", "--train.batch-size", "8")
RUNS = {
    "train": (["train", "smoke", *TRAIN, "--size", "16"], "seed 0", "PlainNet", (16, 16, 1)),
    "cifar10": (["cifar10", "smoke", *TRAIN], "seed 0", "CifarTutorial", (24, 24, 1)),
    "rotation": (
        ["rotation", "smoke", *TRAIN, "--groups", "p4"],
        "p4 seed 0",
        "RotationNet",
        (28, 28, 1),
    ),
    "equivariance": (
        ["equivariance", "smoke", *WORDS, "--conv", "standard"],
        "standard translated seed 0",
        "ConvNet",
        (16, 16, 1),
    ),
}


@pytest.mark.usefixtures("few_test_images")
@pytest.mark.parametrize(
    "study",
    [
        study if study == "equivariance" else pytest.param(study, marks=pytest.mark.slow)
        for study in RUNS
    ],
)
def test_networks_of_studies_are_visualised_and_audited(study, tmp_path):
    """As trained: the command line, the run's files, and the looks agree."""
    words, name, module, shape = RUNS[study]
    directory = tmp_path / study
    assert launch.main([*words, "--workdir", str(directory)]) == 0
    chosen = ["--network", name]
    look = ["visualise", "smoke", str(directory), *chosen, "--layers", "1", "--steps", "1"]
    if study == "equivariance":
        look += ["--units", "1"]
    assert launch.main([*look, "--workdir", str(tmp_path / "look")]) == 0
    seen = json.loads((tmp_path / "look" / "results.json").read_text("utf-8"))
    assert (seen["module"], seen["data"]) == (module, "digits")
    assert f"trained, step {20 if study == 'equivariance' else 1} of" in seen["weights"]
    assert np.shape(seen["maps"]["image"]) == shape[:2]
    side = str(shape[0])
    audit = ["audit", "--model", str(directory), *chosen, "--sizes", side, side]
    assert launch.main([*audit, "--workdir", str(tmp_path / "audit")]) == 0
    audited = json.loads((tmp_path / "audit" / "results.json").read_text("utf-8"))
    assert (audited["module"], audited["image_shape"]) == (module, list(shape))
    assert audited["weights"] == seen["weights"]


def test_a_study_on_images_of_its_own_is_not_visualised(tmp_path, capsys):
    directory = tmp_path / "borders"
    few = ["--borders", "same", *TRAIN, "--train-images", "8", "--test-images", "8"]
    assert launch.main(["borders", "smoke", *few, "--workdir", str(directory)]) == 0
    with pytest.raises(SystemExit) as error:
        launch.main(["visualise", str(directory), "--workdir", str(tmp_path / "look")])
    assert error.value.code == 2
    assert "the study makes its own data" in " ".join(capsys.readouterr().err.split())


def test_weights_with_torchvisions_names_are_visualised_and_audited(tiny_weights):
    name, file, variables = tiny_weights
    task, found = visualise.network(visualise.Config(model=name, weights=file))
    x = np.zeros((1, 8, 8, 3), np.float32)
    audited = audit.network(audit.Config(model=name, weights=file), x)
    for each in (found, audited):
        jax.tree.map(np.testing.assert_array_equal, each.variables, dict(variables))
        assert each.weights == "weights of weights.npz"
    # Black, standardised as for ImageNet; grey images have three channels.
    black = task.place(np.zeros((1, 8, 8, 1), np.uint8))[0, 0, 0]
    np.testing.assert_allclose(
        black, -np.divide((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), 1e-5
    )
    for wrong, message in (
        ("PlainNet", "must be ResNet, DenseNet, VGG, .* or GoogLeNetBatchNorm, got PlainNet"),
        ("ResNet18", r"must have shape \(64,\) as the network has it, got \(4,\)"),
    ):
        with pytest.raises(InputError, match=message):
            audit.network(audit.Config(model=wrong, weights=file), x)
