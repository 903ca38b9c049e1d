"""The command audit: what it finds in models and trained runs, and what its page shows."""

import json
import shutil
import sys

import jax
import numpy as np
import pytest
from flax import linen

import launch
from cnnjax.models import ConvNet
from cnnjax.models.description import describe_model
from cnnjax.report.figures import audits
from cnnjax.run.config import to_json
from cnnjax.run.record import Record
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.training import compile_training
from experiments.looks import audit
from tests.experiments import pages

OWN = """
from flax import linen as nn

class Mine(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(2, (3, 3), padding="CIRCULAR", name="conv")(x)
        x = nn.max_pool(x, (2, 2), strides=(2, 2))
        return nn.Dense(self.classes, name="head")(x.mean((1, 2)))
"""


def audited(directory, *arguments):
    assert launch.main(["audit", "smoke", "--workdir", str(directory), *arguments]) == 0
    return json.loads((directory / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    directory = tmp_path_factory.mktemp("audit") / "run"
    return directory, audited(directory)


def place(results, transformation):
    (at,) = [at for at in results["breaks"] if at["transformation"] == transformation]
    return None if at["kept"] else at["path"]


def test_the_default_network_loses_shifts_to_its_stride(smoke):
    directory, results = smoke
    assert results["weights"] == "untrained"
    stages = {stage["path"]: stage for stage in results["stages"]}
    assert stages[""]["from_image"]["lattice"] == [2, 2]
    assert place(results, "shift down by 1") == "conv2"
    assert place(results, "shift right by 2") is None
    assert place(results, "90-degree rotation") == "conv1"
    assert stages["conv2"]["attributes"]["strides"] == "(2, 2)"
    lattices = {row["size"]: row["lattice"] for row in results["sizes"]}
    assert lattices == {7: [7, 7], 8: [2, 2], 9: [9, 9]}
    assert pages.lead(directory) == (
        "ConvNet is equivariant to circular shifts by multiples of 2 down and 2 to the right, and "
        "to no rotation or flip."
    )
    lost = {row["lost in"]: row for row in pages.tables(directory)[0]}
    assert lost["conv2"]["transformations of the image"] == "shifts by 1"
    assert lost["conv2"]["arguments"].endswith("strides (2, 2), padding CIRCULAR")
    assert lost["(not lost)"]["transformations of the image"] == "shifts by 2 and 4"
    assert lost["conv1"]["transformations of the image"].startswith("90-degree rotation; 180-")
    assert {path.name for path in (directory / "figures").iterdir()} == {"layers.png", "sizes.png"}


def test_a_convolution_is_chosen_and_an_audit_is_made_anew(smoke):
    directory, _ = smoke
    results = audited(directory, "--conv", "tiled", "--conv.tile", "2", "--sizes", "8", "8")
    assert results["stages"][0]["from_image"]["lattice"] == [2, 2]
    assert place(results, "shift down by 1") == "conv1"
    assert place(results, "shift down by 2") == "conv2"


def test_a_module_of_ones_own_and_the_pooling_between_its_layers(tmp_path, monkeypatch):
    (tmp_path / "cnnjax_test_audited.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    results = audited(tmp_path / "run", "--model", "cnnjax_test_audited:Mine")
    (at,) = [at for at in results["breaks"] if at["transformation"] == "shift right by 1"]
    assert (at["functions"], at["module"], at["between"]) == (True, "Mine", ["conv", "head"])
    lost = {row["lost in"]: row for row in pages.tables(tmp_path / "run")[0]}
    found = lost["the network, after conv and before head"]
    assert (found["class"], found["transformations of the image"]) == ("Mine", "shifts by 1")


@pytest.fixture
def trained(tmp_path):
    """A run of two networks, as far as the audit reads it."""
    train = TrainConfig(steps=1, batch_size=4)
    directory = tmp_path / "trained"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"train": to_json(train)}))
    model = ConvNet(classes=10, conv=linen.Conv, features=(2,), strides=(1,))
    training = compile_training(model, train)
    for seed in (0, 1):
        state = training.init(seed, jax.numpy.zeros((1, 8, 8, 1)))
        written = {"input_shape": (8, 8, 1), "description": describe_model(model)}
        Record(directory).write_network(f"seed {seed}", written)
        with Checkpoints(Record(directory).checkpoints(f"seed {seed}")) as checkpoints:
            checkpoints.save(state)
    return directory


def test_a_network_of_a_trained_run(trained, tmp_path):
    results = audited(tmp_path / "run", "--model", str(trained), "--network", "seed 1")
    assert "step 0 of" in results["weights"]
    assert "seed_1" in results["weights"]
    assert results["stages"][-1]["from_image"]["lattice"] == [1, 1]
    assert [stage["path"] for stage in results["stages"]] == ["conv1", "classifier", ""]


def test_the_networks_of_a_study_say_what_they_are(tmp_path):
    """Size and channels are those of the run, unless a preset or the command line says others."""
    study, few = tmp_path / "rotation", ["--networks", "p4", "--train.steps", "2"]
    few += ["--train.batch-size", "8", "--test-images", "4"]
    assert launch.main(["rotation", "smoke", "--workdir", str(study), *few]) == 0
    given = ["--model", str(study), "--network", "p4 200 seed 0", "--sizes", "28", "28"]
    assert launch.main(["audit", "--workdir", str(tmp_path / "run"), *given]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert (results["module"], results["image_shape"]) == ("RotationNet", [28, 28, 1])
    assert "step 2 of" in results["weights"]
    assert "90-degree rotation" in results["stages"][-1]["from_image"]["kept"]
    assert place(results, "left-right flip") is not None


def error_of(capsys, directory, *arguments) -> str:
    with pytest.raises(SystemExit) as error:
        launch.main(["audit", "smoke", "--workdir", str(directory), *arguments])
    assert error.value.code == 2
    assert not directory.exists()
    return " ".join(capsys.readouterr().err.split())


def test_a_run_that_cannot_be_audited_says_why(trained, tmp_path, capsys):
    run = tmp_path / "run"
    model = ["--model", str(trained)]
    assert "must be one of 'seed 0', 'seed 1', got None" in error_of(capsys, run, *model)
    one = [*model, "--network", "seed 0"]
    assert "trained must be 1, got 3" in error_of(capsys, run, *one, "--channels", "3")
    assert "'seed 0', 'seed 1', got 'seed'" in error_of(capsys, run, *model, "--network", "seed")
    for option, value in (("conv", "tiled"), ("classes", "3"), ("weights", "file.npz")):
        message = error_of(capsys, run, *one, f"--{option}", value)
        assert f"{option} of {trained} must be that of the run" in message
    (file,) = (trained / "networks").glob("seed_0*")
    written = json.loads(file.read_text())
    theirs = {"model": "wicked:Net", "arguments": {}}
    file.write_text(json.dumps(written | {"description": theirs}))
    assert "names wicked:Net, whose code would be imported: give --trust wicked:Net" in error_of(
        capsys, run, *one
    )
    inside = {"features": [{"name": "wicked:Net", "arguments": {}}]}
    hidden = {**written["description"]["arguments"], **inside}
    file.write_text(
        json.dumps(written | {"description": {**written["description"], "arguments": hidden}})
    )
    assert "names wicked:Net, whose code would be imported" in error_of(capsys, run, *one)
    trusted = error_of(capsys, run, *one, "--trust", "wicked:Net")
    assert "wicked" not in sys.modules
    assert "There is no module 'wicked'" in trusted
    file.write_text(json.dumps(written | {"description": None}))
    assert "does not say which model was trained" in error_of(capsys, run, *one)
    shutil.rmtree(trained / "networks")
    assert "must hold trained networks, but has no networks/" in error_of(capsys, run, *one)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "ConvNit"], "perhaps you meant 'ConvNet'"),
        (
            ["--model", "runs/nowhere"],
            "runs/nowhere must be the directory of a run, but has no config.json",
        ),
        (["--seed", "-1"], "seed must be at least 0 and at most 4294967295, got -1"),
        (["--model", "flax.linen:Dense"], "needs features"),
        (["--model", "ResNet18", "--weights", "w.bin"], "must end in .safetensors or .npz"),
        (["--model", "ResNet18", "--weights", "w.npz"], "There is no file of weights w.npz"),
        (["--conv", "tiled", "--conv", "local"], "conv must be at most one convolution"),
        (["--size", "0"], "size must be at least 1, got 0"),
        (["--sizes", "9", "8"], "sizes must be a first and a last size, got (9, 8)"),
        (["--tolerance", "2"], "tolerance must be between 0 and 1, got 2.0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    assert message in error_of(capsys, tmp_path / "run", *arguments)


def response(lattice, errors, kept=(), reordered=()):
    return {
        "lattice": list(lattice),
        "errors": errors,
        "kept": list(kept),
        "reordered": list(reordered),
    }


def stage(path, module, inputs, output, from_image, alone):
    return {
        "path": path,
        "module": module,
        "attributes": {"strides": f"of {module}"},
        "innermost": bool(path),
        "input_shape": [2, *inputs],
        "output_shape": [2, *output],
        "from_image": from_image,
        "alone": alone,
    }


def broken(name, path, error, between=None):
    return {
        "transformation": name,
        "kept": False,
        "path": path,
        "module": "Class",
        "attributes": {"padding": "SAME"},
        "functions": between is not None,
        "between": between or ["", ""],
        "error": error,
    }


LOST = {"shift down by 1": 0.25, "shift right by 1": 0.5, "turn": 0.75, "flip": 0.0}
"""Errors that differ from one another."""
RESULTS = {
    "model": "made",
    "module": "Made",
    "weights": "untrained",
    "image_shape": [6, 4, 3],
    "tolerance": 1e-5,
    "stages": [
        stage("a", "A", (6, 4, 3), (3, 2, 8), response((2, 4), LOST, ["flip"]), None),
        stage(
            "b", "B", (3, 2, 8), (3, 2, 5), response((2, 4), LOST), response((1, 1), LOST, ["turn"])
        ),
        stage("", "Made", (6, 4, 3), (7,), response((2, 4), LOST, ["flip"], ["flip"]), None),
    ],
    "breaks": [
        broken("shift down by 1", "a", 0.25),
        broken("shift right by 1", "a", 0.5),
        broken("shift right by 2", "b", 0.125, ["a", ""]),
        broken("turn", "a", 0.75),
        {"transformation": "flip", "kept": True},
    ],
    "sizes": [
        {"size": 5, "problem": None, **response((1, 1), {}, ["flip"])},
        {"size": 6, "problem": "too even."},
        {"size": 9, "problem": None, **response((1, 1), {})},
        {"size": 13, "problem": None, **response((1, 1), {}, ["turn"])},
    ],
}


@pytest.mark.fast
def test_every_number_of_the_page_stands_under_its_heading(tmp_path):
    audit.page(RESULTS, Record(tmp_path))
    assert pages.lead(tmp_path) == (
        "Made is equivariant to circular shifts by multiples of 2 down and 4 to the right, and to "
        "the flip."
    )
    lost, stages, sizes = pages.tables(tmp_path)
    assert [list(row.values()) for row in lost] == [
        ["a", "Class", "padding SAME", "shifts by 1; turn", "0.75"],
        ["b, after a", "Class", "padding SAME", "shift right by 2", "0.12"],
        ["(not lost)", "", "", "flip", "–"],
    ]
    assert [list(row.values()) for row in stages] == [
        ["a", "A", "strides of A", "6 x 4 x 3", "3 x 2 x 8", "2 x 4", "–"],
        ["b", "B", "strides of B", "3 x 2 x 8", "3 x 2 x 5", "2 x 4", "1 x 1"],
        ["network", "Made", "strides of Made", "6 x 4 x 3", "7", "2 x 4", "–"],
    ]
    assert {row["transformation"]: row["sizes at which it is exact"] for row in sizes} == {
        "shift by 1": "5, 9 and 13 (4 k + 1)",
        "turn": "13",
        "flip": "5",
    }
    page = (tmp_path / "report.md").read_text("utf-8")
    assert "Images of size 6 are not accepted: too even." in page
    assert "noise of 6 x 4 x 3" in page


@pytest.mark.fast
def test_cells_of_the_figures_have_the_colour_of_what_is_exact():
    left, right = audits.audit_layers(RESULTS).axes
    exact, permuted, partly, lost, undefined = range(5)
    np.testing.assert_array_equal(
        left.images[0].get_array(),
        # Four of four columns: no shift to the right is exact.
        [[partly, lost, lost, exact], [partly, lost, lost, lost], [partly, lost, lost, permuted]],
    )
    np.testing.assert_array_equal(
        right.images[0].get_array(),
        [[undefined] * 4, [exact, exact, exact, lost], [undefined] * 4],
    )
    words = [text.get_text() for text in left.texts[:4]]
    assert words == ["2", "0.50", "0.75", ""]
    frames = [patch.get_xy() for patch in left.patches]
    assert frames == [(-0.5, -0.5), (0.5, -0.5), (1.5, -0.5)]
    (axes,) = audits.audit_sizes(RESULTS).axes
    np.testing.assert_array_equal(
        axes.images[0].get_array(),
        [
            [exact, undefined, exact, exact],
            [exact, undefined, exact, exact],
            [undefined] * 4,
            [undefined] * 4,
        ],
    )


@pytest.mark.fast
def test_of_many_stages_those_are_drawn_whose_arguments_count():
    plain = {**RESULTS["stages"][0], "attributes": {}}
    many = [plain] * 40 + [RESULTS["stages"][1]] * 70 + [RESULTS["stages"][2]]
    shown = audits.shown_stages(many)
    assert len(shown) == audits.MOST_ROWS
    assert {each["path"] for each in shown[:-1]} == {"b"}
    assert shown[-1]["path"] == ""
