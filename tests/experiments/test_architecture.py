"""The architecture experiment: what it prints and draws."""

import dataclasses
import json

import flax.linen as nn
import pytest

from cnnjax.inspect import cost_of, layers_of
from cnnjax.layers import TiledConv
from cnnjax.layers.choice import Convolution
from cnnjax.report.architecture import text
from cnnjax.run.config import InputError
from cnnjax.run.record import Record
from experiments import architecture


class Attends(nn.Module):
    """Mixes all positions between two layers that work on each alone."""

    @nn.compact
    def __call__(self, x):
        weight = self.param("weight", nn.initializers.ones, (1000,))
        x = nn.Dense(4, name="before")(x)
        flat = x.reshape(x.shape[0], -1, 4)
        x = nn.softmax(flat @ flat.swapaxes(1, 2)) @ flat + weight[:4][None, None]
        return nn.Dense(2, name="after")(x.reshape(-1, 8, 8, 4))


@pytest.mark.fast
def test_what_no_layer_has_is_in_the_totals():
    layers, (parameters, multiply_adds) = (
        layers_of(Attends(), (8, 8, 1)),
        cost_of(Attends(), (8, 8, 1)),
    )
    results = {
        "model": "Attends",
        "conv": [],
        "image_shape": (8, 8, 1),
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "layers": [dataclasses.asdict(layer) for layer in layers],
    }
    assert "1,000 parameters and 32,768 multiply-adds are in modules that hold" in text(results)


def test_the_experiment_prints_and_draws(tmp_path, capsys):
    config = architecture.Config(
        model="LeNet5", conv=(Convolution("tiled", {"tile": 2}),), image_shape=(36, 36, 1)
    )
    record = Record.open(tmp_path / "run", config)
    architecture.run(config, record)
    printed = capsys.readouterr().out
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["layers"][0]["kind"] == TiledConv.__name__
    assert results["layers"][0]["parameters"] == 4 * 156
    assert results["parameters"] == sum(layer["parameters"] for layer in results["layers"])
    assert f"LeNet5 made of tiled(tile=2) has {results['parameters']:,} parameters" in printed
    assert text(results) in printed
    assert {path.name for path in (record.directory / "figures").iterdir()} == {
        "costs.png",
        "volumes.png",
    }
    page = record.report.read_text("utf-8")
    assert "32x32x6" in page


def test_a_network_that_must_be_told_more_is_told_it(tmp_path, capsys):
    config = architecture.Config(model="ConvNet", image_shape=(8, 8, 1))
    architecture.run(config, Record.open(tmp_path / "run", config))
    last = [line.split() for line in capsys.readouterr().out.splitlines() if "classifier" in line]
    assert last[0][2] == "10"


@pytest.mark.fast
def test_wrong_configurations_are_named(tmp_path):
    for wrong, message in (
        (architecture.Config(model="VGG17"), "no model 'VGG17'.*'VGG19'"),
        (architecture.Config(model="LeNet5", image_shape=(8, 8, 1)), "a window of size 5"),
    ):
        with pytest.raises(InputError, match=message):
            architecture.run(wrong, Record.open(tmp_path / wrong.model, wrong))
    with pytest.raises(ValueError, match="one convolution, got"):
        architecture.Config(conv=(Convolution("tiled"), Convolution("local")))
    with pytest.raises(ValueError, match=r"got \(0, 4, 3\)"):
        architecture.Config(image_shape=(0, 4, 3))
