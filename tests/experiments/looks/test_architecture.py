"""The command architecture: what it prints and draws."""

import dataclasses
import json
import math

import flax.linen as nn
import pytest

from cnnjax.inspect import cost_of, layers_of
from cnnjax.layers import TiledConv
from cnnjax.models.choice import Convolution
from cnnjax.run.config import InputError
from cnnjax.run.record import Record
from experiments.looks import architecture
from tests.experiments import pages


class Attends(nn.Module):
    """Mixes all positions between two layers that work on each alone."""

    @nn.compact
    def __call__(self, x):
        weight = self.param("weight", nn.initializers.ones, (1000,))
        x = nn.Dense(4, name="before")(x)
        flat = x.reshape(x.shape[0], -1, 4)
        x = nn.softmax(flat @ flat.swapaxes(1, 2)) @ flat + weight[:4][None, None]
        return nn.Dense(2, name="after")(x.reshape(-1, 8, 8, 4))


def layer(name, kind, inputs, output, parameters, multiply_adds, field, stride):
    return {
        "name": name,
        "kind": kind,
        "input_shape": inputs,
        "output_shape": output,
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "units": math.prod(output) * bool(parameters),
        "connections": multiply_adds + math.prod(output) if parameters else 0,
        "receptive_field": field,
        "effective_stride": stride,
    }


LAYERS = [
    layer("conv", "Conv", [8, 8, 1], [8, 8, 4], 40, 2304, [3, 5], [1, 2]),
    layer("relu", "Relu", [8, 8, 4], [8, 8, 4], 0, 0, [3, 3], [1, 1]),
    layer("pool", "MaxPool", [8, 8, 4], [4, 4, 4], 0, 0, [4, 4], [2, 2]),
    layer("mean", "Mean", [4, 4, 4], [4], 0, 0, None, None),
    layer("classifier", "Dense", [4], [10], 50, 41, None, None),
]
RESULTS = {
    "model": "Made",
    "conv": "tiled(tile=2)",
    "image_shape": [8, 8, 1],
    "parameters": 90,
    "multiply_adds": 2345,
    "layers": LAYERS,
}


@pytest.mark.fast
def test_every_number_of_a_layer_stands_under_its_heading(tmp_path):
    architecture.page(RESULTS, Record(tmp_path))
    (table,) = pages.tables(tmp_path)
    found = {row["layer"]: row for row in table}
    assert found["conv"] == {
        "layer": "conv",
        "class": "Conv",
        "output": "8x8x4",
        "connections": "2,560",
        "parameters": "40",
        "multiply-adds": "2,304",
        "receptive field": "3x5",
        "effective stride": "1x2",
    }
    assert (found["pool"]["receptive field"], found["pool"]["effective stride"]) == ("4", "2")
    assert found["pool"]["parameters"] == found["pool"]["multiply-adds"] == "–"
    assert found["mean"]["receptive field"] == "all"
    assert pages.lead(tmp_path) == (
        "Made with tiled(tile=2) convolutions has 90 parameters and takes 2,345 multiply-adds for "
        "an image of 8 x 8 x 1. Besides 64 inputs it has 266 units with 2,611 connections: 0.34 "
        "parameters a unit."
    )
    assert len(architecture.text(RESULTS).splitlines()) == 1 + len(LAYERS) + 2


@pytest.mark.fast
def test_figures_show_the_numbers_of_the_layers_that_are_drawn():
    assert [architecture.sort(each) for each in LAYERS] == [
        "convolution",
        None,
        "pooling",
        "pooling",
        "fully connected",
    ]
    upper, middle, lower = architecture.costs(LAYERS, 8).axes
    assert [bar.get_height() for bar in upper.patches] == [40, 0, 0, 50]
    assert [bar.get_height() for bar in middle.patches] == [2304, 0, 0, 41]
    assert lower.lines[0].get_ydata()[:2].tolist() == [3, 4]
    assert set(lower.lines[1].get_ydata()) == {8}
    texts = [text.get_text() for text in architecture.volumes(LAYERS).axes[0].texts]
    assert texts == ["8x8", "4x4"]


@pytest.mark.fast
def test_what_no_layer_has_is_in_the_totals():
    parameters, multiply_adds = cost_of(Attends(), (8, 8, 1))
    layers = [dataclasses.asdict(each) for each in layers_of(Attends(), (8, 8, 1))]
    results = {
        "model": "Attends",
        "conv": None,
        "image_shape": (8, 8, 1),
        "parameters": parameters,
        "multiply_adds": multiply_adds,
        "layers": layers,
    }
    totals = architecture.totals(results)
    assert "1,000 parameters and 32,768 multiply-adds are in modules that contain" in totals


def test_the_command_prints_and_draws(tmp_path, capsys):
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
    assert f"LeNet5 with tiled(tile=2) convolutions has {results['parameters']:,} para" in printed
    assert architecture.text(results) in printed
    assert {path.name for path in (record.directory / "figures").iterdir()} == {
        "costs.png",
        "volumes.png",
    }
    page = record.report.read_text("utf-8")
    assert "32x32x6" in page


def test_a_network_that_needs_arguments_gets_them(tmp_path, capsys):
    config = architecture.Config(model="ConvNet", image_shape=(8, 8, 1))
    architecture.run(config, Record.open(tmp_path / "run", config))
    last = [line.split() for line in capsys.readouterr().out.splitlines() if "classifier" in line]
    assert last[0][2] == "10"


@pytest.mark.fast
def test_wrong_configurations_are_named(tmp_path):
    for wrong, message in (
        (architecture.Config(model="VGG17"), "model.*'VGG17'.*'VGG19'"),
        (architecture.Config(model="LeNet5", image_shape=(8, 8, 1)), "a window of size 5"),
    ):
        with pytest.raises(InputError, match=message):
            architecture.run(wrong, Record.open(tmp_path / wrong.model, wrong))
    with pytest.raises(ValueError, match="conv must be at most one convolution, got"):
        architecture.Config(conv=(Convolution("tiled"), Convolution("local")))
    with pytest.raises(ValueError, match=r"image_shape\[0\] must be at least 1, got 0"):
        architecture.Config(image_shape=(0, 4, 3))
    with pytest.raises(ValueError, match="image_shape must be sizes of space, then"):
        architecture.Config(image_shape=(4,))
