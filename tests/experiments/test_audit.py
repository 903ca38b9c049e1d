"""The auditor from the command line: what it says of models, own modules and trained runs."""

import json
import shutil
import sys

import jax
import pytest
from flax import linen

import launch
from cnnjax.models import ConvNet
from cnnjax.models.description import describe_model
from cnnjax.run.config import to_json
from cnnjax.run.record import Record
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.training import compile_training

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
    page = (directory / "report.md").read_text("utf-8")
    assert "ConvNet keeps circular shifts by multiples of 2 down and 2 to the right" in page
    assert "strides (2, 2), padding CIRCULAR) breaks shifts by 1." in page
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
    page = (tmp_path / "run" / "report.md").read_text("utf-8")
    assert "What Mine does between conv and head breaks shifts by 1." in page


@pytest.fixture
def trained(tmp_path):
    """A run of two networks, as far as the auditor reads it."""
    train = TrainConfig(steps=1, batch_size=4)
    directory = tmp_path / "trained"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"train": to_json(train)}))
    model = ConvNet(classes=10, conv=linen.Conv, features=(2,), strides=(1,))
    training = compile_training(model, train)
    for seed in (0, 1):
        state = training.init(seed, jax.numpy.zeros((1, 8, 8, 1)))
        told = {"input_shape": (8, 8, 1), "description": describe_model(model)}
        Record(directory).write_network(f"seed {seed}", told)
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
    study, few = tmp_path / "rotation", ["--groups", "p4", "--train.steps", "2"]
    assert launch.main(["rotation", "smoke", "--workdir", str(study), *few]) == 0
    given = ["--model", str(study), "--network", "p4 seed 0", "--sizes", "28", "28"]
    assert launch.main(["audit", "--workdir", str(tmp_path / "run"), *given]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert (results["module"], results["size"], results["channels"]) == ("RotationNet", 28, 1)
    assert "step 2 of" in results["weights"]
    assert "90-degree rotation" in results["stages"][-1]["from_image"]["kept"]
    assert place(results, "left-right flip") is not None


def refused(capsys, directory, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        launch.main(["audit", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert not directory.exists()
    return " ".join(capsys.readouterr().err.split())


def test_a_run_that_cannot_be_audited_says_why(trained, tmp_path, capsys):
    run = tmp_path / "run"
    model = ["--model", str(trained)]
    assert "the networks 'seed 0', 'seed 1': choose one by --network" in refused(
        capsys, run, *model
    )
    one = [*model, "--network", "seed 0"]
    assert "was trained on images of 1: take away --channels" in refused(
        capsys, run, *one, "--channels", "3"
    )
    assert "'seed 0', 'seed 1', not 'seed'" in refused(capsys, run, *model, "--network", "seed")
    assert "take away --conv and --classes" in refused(capsys, run, *one, "--conv", "tiled")
    (file,) = (trained / "networks").glob("seed_0*")
    told = json.loads(file.read_text())
    theirs = {"model": "wicked:Net", "arguments": {}}
    file.write_text(json.dumps(told | {"description": theirs}))
    assert "names wicked:Net, whose code would be imported: give --trust wicked:Net" in refused(
        capsys, run, *one
    )
    inside = {"features": [{"name": "wicked:Net", "arguments": {}}]}
    hidden = {**told["description"]["arguments"], **inside}
    file.write_text(
        json.dumps(told | {"description": {**told["description"], "arguments": hidden}})
    )
    assert "names wicked:Net, whose code would be imported" in refused(capsys, run, *one)
    trusted = refused(capsys, run, *one, "--trust", "wicked:Net")
    assert "wicked" not in sys.modules
    assert "There is no module 'wicked'" in trusted
    file.write_text(json.dumps(told | {"description": None}))
    assert "does not say which model was trained" in refused(capsys, run, *one)
    shutil.rmtree(trained / "networks")
    assert "has trained no network" in refused(capsys, run, *one)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "ConvNit"], "perhaps you meant 'ConvNet'"),
        (["--model", "runs/nowhere"], "There is no run in runs/nowhere: it has no config.json"),
        (["--seed", "-1"], "seed must be 0 to 4294967295, got -1"),
        (["--model", "flax.linen:Dense"], "needs features"),
        (["--size", "0"], "size must be at least 1, got 0"),
        (["--sizes", "9", "8"], "sizes must be a first and a last size, got (9, 8)"),
        (["--tolerance", "2"], "tolerance must lie between 0 and 1, got 2.0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    assert message in refused(capsys, tmp_path / "run", *arguments)
