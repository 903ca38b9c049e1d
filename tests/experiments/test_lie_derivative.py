"""The study of Lie derivatives: what each cell trains and measures, what the page says."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import launch
from cnnjax import symmetry
from cnnjax.models.chain_net import Stage
from cnnjax.report import format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig
from experiments import lie_derivative
from experiments.lie_derivative import ACTIONS, KINDS, NETWORKS, Config, chain_net, derivatives
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

WORDS = ["lie_derivative", "smoke", "--actions", "right"]
DEGREE = 100 * math.pi / 180
"""A degree in percent of a radian."""


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    run = tmp_path_factory.mktemp("lie") / "run"
    assert launch.main([*WORDS, "--workdir", str(run)]) == 0
    return run


def test_every_cell_trains_one_network_and_measures_it_before_and_after(watch, tmp_path):
    config = Config(
        networks=("gelu", "max"),
        actions=("down",),
        measured_images=2,
        seeds=(3, 5),
        train=TrainConfig(steps=7, batch_size=64),
    )
    found = watch.run(lie_derivative, config, tmp_path)
    cells = [(network, seed) for network in ("gelu", "max") for seed in (3, 5)]
    assert [(row["network"], row["seed"]) for row in found.rows] == cells
    assert [(call.factors["network"], call.factors["seed"]) for call in watch.trained] == cells
    # Once for all seeds: the same network.
    assert len({id(call.network.training) for call in watch.trained}) == 2
    for row, call in zip(found.rows, watch.trained, strict=True):
        assert call.values == {}
        assert call.network.training.config == config.train
        model = call.network.model
        assert (model.activation, model.downsampling) == (
            ("gelu", "max") if row["network"] == "gelu" else ("relu", "max")
        )
        evaluation = watch.evaluation(row["accuracy"])
        assert (evaluation.split, evaluation.repeats, evaluation.values) == ("test", 1, {})
        assert (evaluation.seed, evaluation.trained) == (row["seed"], True)
    changes = {}
    for row, call in zip(found.rows[:2], watch.trained, strict=False):
        task = call.network.task
        images = task.place(task.test.images[:2])
        initial = call.network.initial(row["seed"]).params
        trained = jax.tree.map(lambda leaf: SCALE * leaf + SHIFT, initial)
        for when, params in (("before", initial), ("after", trained)):
            f = lambda x, params=params, net=call.network: net.model.apply({"params": params}, x)
            change = symmetry.lie_derivative(f, images, symmetry.translation(0))
            expected = jnp.linalg.norm(change) / jnp.linalg.norm(f(images))
            changes[row["seed"], when] = row[f"{when}.down.derivative"]
            assert changes[row["seed"], when] == pytest.approx(float(expected), rel=1e-3)
    assert len({round(change, 2) for change in changes.values()}) == 4


class Chain:
    """A network of these layers, and the mean over all positions."""

    def __init__(self, *layers):
        self.layers = layers

    def chain(self, params):
        del params
        stages = [Stage(kind, kind, layer) for kind, layer in self.layers]
        return [*stages, Stage("mean", "readout", lambda x: x.mean(axis=(1, 2)))]


def waves(axis, size=8):
    """Images and weights that vary along one axis alone, `[images, height, width, channels]`.

    Moved along it by t of its size, the weighted mean of the images is in proportion to cos(2 pi t)
    + sin(2 pi t).
    """
    shape = [1, 1, 1, 1]
    shape[axis + 1] = size
    angles = (2 * np.pi * np.arange(size) / size).reshape(shape)
    zeros = np.zeros((1, size, size, 1))
    images = np.concatenate([np.cos(angles) + zeros, 3 * np.cos(angles) + zeros])
    return jnp.asarray(images, jnp.float32), jnp.asarray(np.cos(angles) + np.sin(angles))


@pytest.mark.parametrize(("axis", "moved", "unmoved"), [(0, "down", "right"), (1, "right", "down")])
def test_derivatives_by_hand(axis, moved, unmoved):
    images, weights = waves(axis)
    model = Chain(("convolution", lambda x: weights * x), ("nonlinearity", lambda x: 2 * x))
    found = derivatives(model, {"params": {}}, images, actions=("down", "right"))
    # d/dt (cos(2 pi t) + sin(2 pi t)) at 0, relative to its value at 0, which is 1.
    assert found[moved]["derivative"] == pytest.approx(2 * math.pi, rel=1e-5)
    assert found[moved]["terms"] == pytest.approx([2 * math.pi, 0, 0], rel=1e-5, abs=1e-5)
    assert found[moved]["share"] == pytest.approx(
        {"convolution": 1, "nonlinearity": 0, "downsampling": 0, "readout": 0}, abs=1e-6
    )
    assert found[moved]["coherence"] == pytest.approx(1, rel=1e-5)
    assert found[moved]["remainder"] < 1e-5
    assert found[unmoved]["derivative"] < 1e-5


def test_terms_that_cancel_have_shares_and_no_coherence():
    images, weights = waves(0)
    images = images + 2.0  # the mean of the images is the logit
    model = Chain(
        ("convolution", lambda x: (weights + 2) * x), ("downsampling", lambda x: x / (weights + 2))
    )
    (found,) = derivatives(model, {"params": {}}, images, actions=("down",)).values()
    assert found["terms"][0] == pytest.approx(float(found["terms"][1]), rel=1e-4)
    assert found["terms"][0] > 0.1
    assert found["share"]["convolution"] == pytest.approx(0.5, rel=1e-4)
    assert found["share"]["downsampling"] == pytest.approx(0.5, rel=1e-4)
    assert found["coherence"] < 1e-3
    assert found["derivative"] < 1e-3


def test_each_action_is_the_motion_of_its_name():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(1, 8, 8, 1)), jnp.float32)
    model = Chain(("convolution", lambda x: weights * x))
    found = derivatives(model, {"params": {}}, x, actions=ACTIONS)
    motions = {
        "down": symmetry.translation(0),
        "right": symmetry.translation(1),
        "rotation": symmetry.rotation,
        "scaling": symmetry.scaling,
        "shearing": symmetry.shearing,
    }
    assert list(found) == list(motions) == list(lie_derivative.UNITS)
    mean = lambda x: x.mean(axis=(1, 2))
    f = lambda x: mean(weights * x)
    for action, motion in motions.items():
        change = jnp.linalg.norm(symmetry.lie_derivative(f, x, motion)) / jnp.linalg.norm(f(x))
        assert found[action]["derivative"] == pytest.approx(float(change), rel=1e-5)
        # What the mean adds where the feature maps move with the image.
        last = symmetry.lie_derivative(mean, weights * x, motion)
        last = jnp.linalg.norm(last) / jnp.linalg.norm(f(x))
        assert found[action]["terms"][1] == pytest.approx(float(last), rel=1e-4, abs=1e-5)
        assert found[action]["remainder"] < 1e-5
    assert len({round(float(each["derivative"]), 3) for each in found.values()}) == len(ACTIONS)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_what_its_name_says(network):
    model = chain_net(network, 7)
    activation, downsampling, conv = {
        "alias_free": ("polynomial", "ideal", "Conv"),
        "gelu": ("gelu", "max", "Conv"),
        "tiled": ("relu", "max", "TiledConv"),
        "local": ("relu", "max", "LocalConv"),
    }.get(network, ("relu", network, "Conv"))
    assert (model.classes, model.readout) == (7, "mean")
    assert (model.activation, model.downsampling) == (activation, downsampling)
    made = getattr(model.conv, "func", model.conv).__name__
    assert made == conv
    if network == "tiled":
        assert model.conv.keywords == {"tile": 2}


def test_only_what_aliases_loses_translations(run_directory):
    rows = {row["network"]: row for row in Observations.read(run_directory).rows}
    for when in ("before", "after"):
        assert rows["alias_free"][f"{when}.right.derivative"] < 1e-4
        assert rows["max"][f"{when}.right.derivative"] > 0.1
        shares = {kind: rows["max"][f"{when}.right.share.{kind}"] for kind in KINDS}
        # Circular convolutions and the mean over positions commute with every translation.
        assert shares["convolution"] + shares["readout"] < 1e-6
        assert sum(shares.values()) == pytest.approx(1)
        # Sums of a few thousand float32 numbers through ten layers.
        assert rows["max"][f"{when}.right.remainder"] < 1e-3


@pytest.fixture
def made(tmp_path):
    """A run of two networks and three seeds, each number of its own, and its observations."""
    config = Config(networks=("max", "tiled"), actions=("right", "rotation"), measured_images=9)
    record = Record.open(tmp_path / "made", config)
    record.write_task(
        "digits",
        {"data": "digits", "classes": 10, "test_examples": 21, "image_shape": [24, 24, 1]},
    )
    for number, cell in enumerate(record.each(network=config.networks, seed=config.seeds)):
        base = 1 + number / 50 + 2 * (cell["network"] == "tiled")
        measured = {
            when: {
                action: {
                    "derivative": place * base,
                    "coherence": 0.1 * place * base,
                    "remainder": 0.01 * place * base,
                    "share": {kind: 0.01 * (place + n) * base for n, kind in enumerate(KINDS)},
                    "terms": place * base + np.arange(11),
                }
                for action, place in zip(config.actions, places)
            }
            for when, places in (("before", (1.1, 1.3)), ("after", (1.7, 1.9)))
        }
        record.observe(cell, accuracy=0.2 * base, parameters=7, **measured)
    yield record, record.observations()
    record.release()


def test_the_page_shows_each_number_under_its_heading(made):
    record, found = made
    lie_derivative.page(found, record)
    shares, before, after, layers = pages.tables(record.directory)

    def mean(network, name, scale):
        return format_summary(found.where(network=network).summary(name, "network")[network], scale)

    for network, *cells in zip(("max", "tiled"), shares, before, after, strict=True):
        expected = {"accuracy (%)": mean(network, "accuracy", 100)}
        expected |= {
            f"{kind} (%)": mean(network, f"after.right.share.{kind}", 100) for kind in KINDS
        }
        expected["coherence"] = mean(network, "after.right.coherence", 1)
        assert cells[0] == {"network": network, **expected}
        for when, shown in zip(("before", "after"), cells[1:]):
            assert shown == {
                "network": network,
                "right": mean(network, f"{when}.right.derivative", 1),
                "rotation": mean(network, f"{when}.rotation.derivative", DEGREE),
            }
    captions = record.directory.joinpath("report.md").read_text("utf-8")
    assert captions.index("After training: accuracy on 21") < captions.index(
        "Before training: perc"
    )
    assert captions.index("Before training: perc") < captions.index("After training: percent")
    assert "on 9 test images" in captions
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    for network in ("max", "tiled"):
        table = [line for line in layers if line["network"] == network]
        group = found.where(network=network)
        terms = {when: group.array(f"{when}.right.terms") for when in ("before", "after")}
        stages = chain_net(network, 10).stages()
        for number, (stage, line) in enumerate(zip(stages, table, strict=True)):
            each = {when: summarize(values[:, number]) for when, values in terms.items()}
            assert line == {
                "network": network,
                "layer": stage.name,
                "kind": stage.kind,
                "before training": format_summary(each["before"]),
                "after training": format_summary(each["after"]),
            }
            kept = results["layers"][network][number]
            assert kept["after"]["mean"] == pytest.approx(each["after"].mean)
    lead = pages.lead(record.directory)
    assert lead.startswith("Translation right by a hundredth of the image")
    least, most = (mean(network, "after.right.derivative", 1) for network in ("max", "tiled"))
    assert f"change by {least} to {most} % of their size" in lead
    least, most = (
        mean(network, "after.right.share.convolution", 100) for network in ("max", "tiled")
    )
    assert f"convolutions hold {least} to {most} % of the squared terms" in lead
    largest = max(found.column(name).max() for name in found.numbers if "remainder" in name)
    assert results["largest_remainder"] == largest > 0.01 * 1.9 * 3


def test_the_lead_leaves_out_shares_of_rounding(made):
    record, found = made
    for row in found.rows:
        if row["network"] == "tiled":
            row["after.right.derivative"] *= 1e-6
    lie_derivative.page(found, record)
    share = found.where(network="max").summary("after.right.share.convolution", "network")["max"]
    assert f"convolutions hold {format_summary(share, 100)} % of" in pages.lead(record.directory)


def test_bars_are_divided_by_the_shares_of_each_stage(made):
    _, found = made
    for row in found.rows:
        for when, change in (("before", 2.0), ("after", 5.0)):
            row[f"{when}.rotation.derivative"] = change
            row |= {f"{when}.rotation.share.{kind}": 0.0 for kind in KINDS}
        row["before.rotation.share.convolution"] = 1.0
        row |= {"after.rotation.share.nonlinearity": 0.25, "after.rotation.share.readout": 0.75}
    (axes,) = lie_derivative.stacked_bars(found, "rotation").axes
    widths = [round(bar.get_width() / DEGREE, 6) for bar in axes.patches]
    assert widths == [2, 0, 0, 0, 0, 1.25, 0, 3.75] * 2
    starts = [round(bar.get_x() / DEGREE, 6) for bar in axes.patches[4:8]]
    assert starts == [0, 0, 1.25, 1.25]
    # The axis points down: the bar before training is the upper one.
    assert axes.patches[0].get_y() < axes.patches[4].get_y()
    assert axes.yaxis_inverted()


def test_a_run_that_lost_its_end_makes_the_same_page(run_directory, complete_again):
    assert "network=" not in complete_again(run_directory, WORDS, [])


@pytest.mark.parametrize("field", ["networks", "actions"])
def test_an_unknown_choice_is_refused(field, capsys):
    with pytest.raises(SystemExit) as refused:
        launch.main(["lie_derivative", f"--{field}", "none"])
    assert refused.value.code == 2
    assert "none" in capsys.readouterr().err
